"""Plans for trees that no recipe made: a directory or a tar as a disk without a loader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.command.actions import images
from bootsmith.tasks.errors import StageError, UsageError
from bootsmith.tasks.planning import products
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import unpartitioned

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Stage
    from bootsmith.tasks.command.actions.writing import Tree, Writing
    from bootsmith.tasks.command.request import Request


def of_directory(request: Request) -> Plan:
    """Return the plan for the directory named. Raises BootsmithError."""
    top = images.named(request)
    if not top.is_dir():
        raise UsageError(f"{top} is not a directory", "Name the root of a tree; for a tar there is run-tgz.")
    top = top.resolve()
    if (request.session.top / "build").is_relative_to(top):
        raise UsageError(f"{top} holds the build directory, which changes", "Name the root of a tree.")
    site = site_of(request)
    if request.session.invocation.runs:
        _settle(request, writing(request))
    return _plan(top, site, unpartitioned.of_directory(top, site, kernel=not request.options["kernel"]))


def of_tar(request: Request) -> Plan:
    """Return the plan for the tar named. Raises BootsmithError."""
    file = images.named(request)
    if not file.is_file():
        raise UsageError(f"{file} is not a file", "Name a tar of a tree; for a directory there is run-dir.")
    site = site_of(request)
    return _plan(file, site, unpartitioned.of_tar(file, site, kernel=not request.options["kernel"]))


def writing(request: Request) -> Writing:
    """Return what writes into the directory named."""
    from bootsmith.tasks.command.actions.writing import Writing

    session = request.session
    folder = site_of(request).build / "write"
    return Writing(images.named(request).resolve(), folder, session.identities.memo, session.progress)


def packed_from(request: Request) -> Tree:
    """Return the state of the directory named in which its disk, fresh by now, was made of it."""
    from bootsmith.cache.store import record as records
    from bootsmith.tasks.command.actions.writing import Tree

    build = site_of(request).build
    (builder,) = (each for each in request.session.builders if each.plan.build == build)
    record = records.read(builder.freshness.record(builder.plan.stages[0]))
    assert record is not None, "what is fresh has a record"
    return Tree(record.parts["inputs"]["tree"], record.parts["params"]["owners"])


def _settle(request: Request, unfinished: Writing) -> None:
    """Finish writing what an earlier guest changed, before the directory is looked at: it may be half written."""
    if request.options["write"]:
        for name in ("print", "keep"):
            if request.options[name]:
                raise UsageError(f"--write and --{name} exclude each other", "Leave one of them out.")
    if not unfinished.pending:
        return
    if not request.options["write"]:
        raise StageError(
            f"a machine wrote to {unfinished.top}, and not all of it is in it yet",
            f"`doit run-dir --write` ends it; to give it up: rm -r {unfinished.folder}",
        )
    request.session.progress.tell(f"what a machine changed in {unfinished.top} is not all in it yet: this comes first")
    with unfinished.alone():
        unfinished.finish()


def site_of(request: Request) -> Site:
    """Return where what is made of a tree is kept: trees of one name in two folders have two places."""
    name = images.own_name(images.named(request))
    build = request.session.top / "build/run" / name
    return Site(name, build, build / "none.lock", 0)


def _plan(tree: Path, site: Site, stage: Stage) -> Plan:
    made = Plan(site.name, site.build, site.lock, site.epoch, tree, f"{tree} as a disk", (stage,), ())
    return products.complete(made)
