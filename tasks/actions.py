"""What each command does, once doit has run what it needs: thin glue between a request and the rooms of the house."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import UsageError

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


def tools(request: Request) -> None:
    """Print the host programs, and what to install."""
    from bootsmith.tasks.tools import survey

    users: dict[str, list[str]] = {}
    for builder in request.session.builders:
        for stage in builder.plan.stages:
            for tool in stage.tools:
                users.setdefault(tool, []).append(stage.name)
    request.session.progress.tell(survey.report(users))


def update(request: Request) -> None:
    """Resolve a recipe's packages again, and print what changed."""
    from bootsmith.tasks.tree import lockfile

    session = request.session
    lock = session.file(request.recipe).with_suffix(".lock")
    changes = lockfile.update(session.recipe(request.recipe), lock, session.ledger.store, session.progress.tell)
    for line in changes:
        session.progress.tell(line)
    session.progress.tell(f"{lock.name}: {len(changes)} packages changed" if changes else f"{lock.name}: as it was")


def inspect(request: Request) -> None:
    """Print what an image holds, without mounting it."""
    from bootsmith.tasks.disk import inspect as inspection

    found = inspection.inspect(_image(request))
    request.session.progress.tell(
        json.dumps(inspection.to_json(found), indent=2) if request.options["json"] else inspection.to_text(found)
    )


def _image(request: Request) -> Path:
    """Return the disk image a command is about: the file named, else the recipe's raw disk."""
    if request.words:
        if len(request.words) > 1:
            raise UsageError(f"one image, not {len(request.words)}: {shlex.join(request.words)}", "Name one file.")
        return request.session.shell / request.words[0]
    plan = request.session.builder(request.recipe).plan
    return plan.stage("assemble").outputs["disk"]
