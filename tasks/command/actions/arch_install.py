"""arch-install: a tree of Arch's packages in a directory, of no recipe."""

from __future__ import annotations

import os
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.files import temporary
from bootsmith.tasks.build.system_errors import in_words
from bootsmith.tasks.command import session
from bootsmith.tasks.command.actions import given_tree, images
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.text.nodes import Raw

_KEYS: Final = ("mirror", "snapshot", "keyring")


def plan(request: Request) -> Plan:
    """Return the plan of the tree, as a tar. Raises BootsmithError."""
    from bootsmith.tasks.packages import lockfile, renewal
    from bootsmith.tasks.planning import make

    target = _target(request)
    recipe = _recipe(request, target)
    build = request.session.top / "build/trees" / images.own_name(target)
    lock = build / "packages.lock"
    locked: LockFile | None
    if request.session.invocation.runs:
        lock.parent.mkdir(parents=True, exist_ok=True)
        locked = renewal.ensure(recipe, lock, request.session.identities.store, request.session.progress.tell)
    else:
        locked = lockfile.read(lock) if lock.exists() else None
    made = make.plan(recipe, Site(recipe.name, build, lock, locked.date if locked else session.BEGINNING))
    return made._replace(stages=made.needed())


def deliver(request: Request) -> None:
    """Unpack the tree, whole or not at all. An ordinary user's subordinate ids own what is not root's."""
    from bootsmith.tasks.build import workdir
    from bootsmith.tasks.tools import host, process
    from bootsmith.tasks.tools.environment import ENVIRONMENT

    build = request.session.top / "build/trees"
    (made,) = next(each.plan.outputs for each in request.session.builders if each.plan.build.is_relative_to(build))
    target = _target(request)
    words = ["--extract", f"--file={made}", "--numeric-owner", "--same-owner", "--same-permissions"]
    words += ["--xattrs", "--xattrs-include=*"]
    try:
        with temporary.folder(target.parent) as folder:
            tree = folder / target.name
            tree.mkdir(0o755)
            try:
                process.run([host.find("tar"), *words], env=ENVIRONMENT, cwd=tree, root=True)
                tree.rename(target)
            finally:
                workdir.remove_tree(tree)
    except OSError as error:
        raise in_words(error, "arch-install", target) from error
    request.session.progress.tell(str(images.relative(target, request.session.shell)))


def _target(request: Request) -> Path:
    """Return the directory that is named. Raises UsageError where it is none that could be filled."""
    if len(request.words) != 1:
        raise UsageError("arch-install takes one directory", "Name one that is empty, or that is to be made.")
    target = Path(os.path.normpath(request.session.shell / request.words[0]))
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"{target} is not a directory", "Name one that is empty, or that is to be made.")
    if target.exists() and any(os.scandir(target)):
        raise UsageError(f"{target} is not empty", "Name another directory: what is there is never written over.")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} does not exist", "Make it, or name a directory elsewhere.")
    return target


def _recipe(request: Request, target: Path) -> Recipe:
    from bootsmith.tasks.recipe import load

    asked = str(request.options["packages"] or "").split(",")
    source: dict[str, Raw] = {
        "packages": [given_tree.literal(word.strip()) for word in asked if word.strip()],
        **{key: given_tree.literal(str(request.options[key])) for key in _KEYS if request.options[key]},
    }
    raw: dict[str, Raw] = {
        "name": "tree",
        "seed": given_tree.literal(target.name),
        "source": {"arch": source},
        "system": "none",
        "boot": {"kernel": "none"},
        "outputs": ["tar"],
    }
    with chdir(request.session.shell):
        return load.imagine(raw, request.session.shell / target.name)
