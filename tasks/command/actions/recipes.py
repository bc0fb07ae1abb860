"""show, recipes, schema, update, fetch-mach: what recipes say, which there are, and their lock files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bootsmith.cache.display import human

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.packages.lockfile import Change

_LITES = "lites"
_SERVER = "lites_server"


def show(request: Request) -> None:
    """Print a recipe, all filled in."""
    from bootsmith.tasks.recipe.show import show as shown

    request.session.progress.answer(shown(request.session.recipe(request.recipe)))


def recipes(request: Request) -> None:
    """Print every recipe here, one line each."""
    from bootsmith.tasks.recipe import listing

    found = listing.summaries(request.session.folder)
    width = max((len(name) for name, _ in found), default=0)
    for name, text in found:
        request.session.progress.answer(f"{name:{width}}  {text}".rstrip())


def schema(request: Request) -> None:
    """Print the JSON Schema of recipes."""
    from bootsmith.tasks.recipe.keys.schema import text

    request.session.progress.answer(text())


def update(request: Request) -> None:
    """Resolve a recipe's packages again, and print what changed."""
    from bootsmith.tasks.packages import renewal
    from bootsmith.tasks.packages.lockfile import Change
    from bootsmith.tasks.packages.request import needed
    from bootsmith.tasks.recipe import tree_packages

    session = request.session
    recipe = session.recipe(request.recipe)
    lock = session.file(request.recipe).with_suffix(".lock")
    on_tree = tree_packages.wanted(recipe)
    if not (needed(recipe) or on_tree):
        session.progress.tell(f"{recipe.name} needs no packages, so it has no {lock.name}")
        return
    names = [*filter(None, (name.strip() for name in str(request.options["package"] or "").split(",")))]
    store, tell, changes = session.identities.store, session.progress.tell, list[Change]()
    if needed(recipe) and not (on_tree and names):
        changes += renewal.update(recipe, lock, store, tell, names, locked=session.locked)
    if on_tree:
        status = _tree_status(request)
        changes += renewal.update_on_tree(recipe, lock, status, store, tell, names, locked=session.locked)
    for line in difference(changes):
        session.progress.tell(line)
    session.progress.tell(f"{lock.name}: {_summary(changes)}" if changes else f"{lock.name}: as it was")


def _tree_status(request: Request) -> Path:
    """Return the file that says what the recipe's tree has, the tree made first where it is not there."""
    from bootsmith.tasks.packages import tree_lock

    session = request.session
    builder = session.builder(request.recipe)
    session.begin(builder)
    settled = next(stage for stage in builder.plan.stages if stage.settles is not None)
    status = settled.inputs[tree_lock.STATUS]
    for stage in builder.plan.needed([each.name for each in builder.plan.producers(settled)]):
        session.progress.start(stage.name)
        made = builder.ensure(stage, say=partial(session.progress.say, stage.name))
        session.progress.finish(stage.name, made.state, made.seconds, made.size)
    return status


def difference(changes: Sequence[Change]) -> Iterator[str]:
    """Yield what changed in a lock file, as a package manager tells it: what is upgraded, new, removed."""
    kinds: dict[str, list[Change]] = {"upgraded": [], "new": [], "removed": []}
    for each in changes:
        kinds["new" if each.was is None else "removed" if each.now is None else "upgraded"].append(each)
    for kind, found in kinds.items():
        if found:
            yield f"{kind}:"
        width = max((len(_name(each)) for each in found), default=0)
        for each in found:
            versions = " -> ".join(package.version for package in (each.was, each.now) if package)
            yield f"  {_name(each):{width}}  {versions}  {_size(each)}" + (f"  ({each.place})" if each.place else "")


def _name(change: Change) -> str:
    return next(package.name for package in (change.now, change.was) if package)


def _size(change: Change) -> str:
    """Return what a change weighs: of an upgrade, how much more or less its file is."""
    more = (change.now.size if change.now else 0) - (change.was.size if change.was else 0)
    sign = "" if change.was is None else "-" if more < 0 else "+"
    return f"{sign}{human(abs(more))}"


def _summary(changes: Sequence[Change]) -> str:
    counts = [
        (sum(each.was is not None and each.now is not None for each in changes), "upgraded"),
        (sum(each.was is None for each in changes), "new"),
        (sum(each.now is None for each in changes), "removed"),
    ]
    fetched = sum(each.now.size for each in changes if each.now)
    return ", ".join(f"{count} {word}" for count, word in counts if count) + f"; {human(fetched)} of packages"


def fetch_mach(request: Request) -> None:
    """Bring GNU Mach's kernel into the cache and check it, for the recipe to find there. The host stays as it is."""
    from bootsmith.cache.files import temporary
    from bootsmith.tasks.build import running
    from bootsmith.tasks.packages import renewal
    from bootsmith.tasks.planning import make
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.boot import Kernel
    from bootsmith.tasks.recipe.model.files import PackageFile

    session, name = request.session, request.recipe or _LITES
    given = name != _LITES or _SERVER in session.invocation.variables
    recipe = session.recipe(name, {} if given else {_SERVER: "none"})  # the kernel does not depend on it
    for choice in recipe.choices:
        session.progress.tell(choice)
    kernel = recipe.boot.kernel
    if not isinstance(kernel, Kernel) or not isinstance(kernel.file, PackageFile):
        session.progress.tell(f"{recipe.name} takes its kernel out of no package, so there is nothing to fetch")
        return
    path = session.file(name).with_suffix(".lock")
    store = session.identities.store
    locked = renewal.ensure(recipe, path, store, session.progress.tell, locked=session.locked)
    plan = make.plan(recipe, Site(recipe.name, session.top / "build" / recipe.name, path, locked.date))
    checked = plan.stage("kernel")
    with temporary.folder() as work:
        taken = next(stage for stage in plan.stages if checked.inputs["file"] in stage.outputs.values())
        for stage in (taken, checked._replace(inputs={"file": work / "file"})):
            outputs = {role: work / role for role in stage.outputs}
            session.identities.load(stage)(
                running.context(stage, outputs, work, lambda: store, say=session.progress.tell)
            )
    store.sync()
    package = locked.files[kernel.file.key][0]
    session.progress.tell(f"{package.name} {package.version} ({package.arch}) is in the cache, and fits")
