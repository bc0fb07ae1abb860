"""Plans for trees that no recipe made: a directory or a tar as a disk without a loader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.actions import images
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.plan import Plan
from bootsmith.tasks.site import Site
from bootsmith.tasks.stages import bare

if TYPE_CHECKING:
    from bootsmith.tasks.commands import Request
    from bootsmith.tasks.stage import Stage


def of_directory(request: Request) -> Plan:
    """Return the plan for the directory named. Raises BootsmithError."""
    top = images.named(request)
    if not top.is_dir():
        raise UsageError(f"{top} is not a directory", "Name the root of a tree; for a tar there is run-tgz.")
    top = top.resolve()
    if (request.session.top / "build").is_relative_to(top):
        raise UsageError(f"{top} holds the build directory, which changes", "Name the root of a tree.")
    site = site_of(request)
    return _plan(top, site, bare.of_directory(top, site, kernel=not request.options["kernel"]))


def of_tar(request: Request) -> Plan:
    """Return the plan for the tar named. Raises BootsmithError."""
    file = images.named(request)
    if not file.is_file():
        raise UsageError(f"{file} is not a file", "Name a tar of a tree; for a directory there is run-dir.")
    site = site_of(request)
    return _plan(file, site, bare.of_tar(file, site, kernel=not request.options["kernel"]))


def site_of(request: Request) -> Site:
    """Return where what is made of a tree is kept: trees of one name in two folders have two places."""
    name = images.own_name(images.named(request))
    build = request.session.top / "build/run" / name
    return Site(name, build, build / "none.lock", 0)


def _plan(tree: Path, site: Site, stage: Stage) -> Plan:
    return Plan(site, tree, f"{tree} as a disk", (stage,), ())
