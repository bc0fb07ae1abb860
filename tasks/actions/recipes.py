"""Commands about recipes: what they say, which there are, their lock files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootsmith.tasks.commands import Request


def show(request: Request) -> None:
    """Print a recipe, all filled in."""
    from bootsmith.tasks.recipe.show import show as shown

    request.session.progress.tell(shown(request.session.recipe(request.recipe)))


def recipes(request: Request) -> None:
    """Print every recipe here, one line each."""
    from bootsmith.tasks.recipe import catalog

    found = catalog.summaries(request.session.folder)
    width = max((len(name) for name, _ in found), default=0)
    for name, text in found:
        request.session.progress.tell(f"{name:{width}}  {text}".rstrip())


def schema(request: Request) -> None:
    """Print the JSON Schema of recipes."""
    from bootsmith.tasks.recipe.schema import text

    request.session.progress.tell(text())


def update(request: Request) -> None:
    """Resolve a recipe's packages again, and print what changed."""
    from bootsmith.tasks.tree import lockfile

    session = request.session
    lock = session.file(request.recipe).with_suffix(".lock")
    changes = lockfile.update(session.recipe(request.recipe), lock, session.ledger.store, session.progress.tell)
    for line in changes:
        session.progress.tell(line)
    session.progress.tell(f"{lock.name}: {len(changes)} packages changed" if changes else f"{lock.name}: as it was")
