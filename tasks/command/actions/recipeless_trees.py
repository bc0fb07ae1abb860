"""build-tgz: a tree as a tgz with kernel and initrd, of a recipe, a directory, a tar, an image or a suite."""

from __future__ import annotations

from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.command import session
from bootsmith.tasks.command.actions import given_tree, images, recipeless_disks
from bootsmith.tasks.errors import RecipeError, UsageError
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.text.nodes import Raw

_BOOTS: Final = ("systemd-sysv", "udev")
"""What a suite's tree has beside what is asked for: something for the kernel to start."""


def plan(request: Request) -> Plan:
    """Return the plan of a tgz. Raises BootsmithError."""
    from bootsmith.tasks.planning import make
    from bootsmith.tasks.recipe.model.tree_outputs import TgzOutput

    tree = _tree(request)
    recipeless_disks.output(request, tree)
    recipe, lock = _recipe(request, tree)
    build = request.session.top / "build/trees" / _name(request, recipe, tree)
    recipe = replace(recipe, outputs=(TgzOutput(f"{recipe.name}.tgz"),))
    locked = _locked(request, recipe, lock or build / "packages.lock")
    if request.session.invocation.runs:
        _refuse(request, recipe, locked)
    request.session.note_recipe(build, recipe)
    if lock:
        site = request.session.site(recipe, build, locked)
    else:
        site = Site(recipe.name, build, build / "packages.lock", locked.date if locked else session.BEGINNING)
    made = make.plan(recipe, site._replace(within=request.session.top / "build"))
    return made._replace(stages=made.needed())  # a recipe's disk is not asked for


def deliver(request: Request) -> None:
    """Put the tgz where `--output` says, unless the very same is there."""
    build = request.session.top / "build/trees"
    (made,) = next(each.plan.outputs for each in request.session.builders if each.plan.build.is_relative_to(build))
    target = recipeless_disks.output(request, _tree(request))
    if target is not None:
        recipeless_disks.put(request, made, target)


def _tree(request: Request) -> Path | None:
    """Return the directory or file that is named; None for a suite, or where nothing is named."""
    if not request.words:
        return None
    tree = images.named(request).resolve()
    if not tree.exists() and "/" not in request.words[0]:
        return None
    if not tree.exists():
        raise UsageError(f"{tree} does not exist", "Name a directory, a tar, a container image, or a suite.")
    if (request.session.top / "build").is_relative_to(tree):
        raise UsageError(f"{tree} holds the build directory, which changes", "Name the root of a tree.")
    return tree


def _name(request: Request, recipe: Recipe, tree: Path | None) -> str:
    if tree is not None:
        return images.own_name(tree)
    if request.words:
        return request.words[0]
    return recipe.name if recipe.profile is None else f"{recipe.name}+{recipe.profile}"


def _recipe(request: Request, tree: Path | None) -> tuple[Recipe, Path | None]:
    """Return the recipe, and its lock file where it has one of its own."""
    from bootsmith.tasks.recipe import load

    if not request.words:
        if request.options["packages"]:
            raise UsageError("--packages is for a suite's tree", "Name a suite, or let the recipe's layers have them.")
        file = request.session.file(request.recipe)
        return request.session.recipe(request.recipe), file.with_suffix(".lock")
    asked = str(request.options["packages"] or "")
    if tree is not None and asked:
        raise UsageError("--packages is for a suite's tree", "Name a suite, or write a recipe with such a layer.")
    source: dict[str, Raw]
    if tree is None:
        packages = [*_BOOTS, *filter(None, (word.strip() for word in asked.split(",")))]
        source = {"debian": {"suite": given_tree.literal(request.words[0]), "packages": packages}}
    else:
        source = given_tree.source(tree)
    kernel = request.options["kernel"]
    boot: dict[str, Raw] = {"kernel": given_tree.literal(kernel) if kernel else "auto" if tree else "install"}
    if request.options["initrd"]:
        boot["initrd"] = given_tree.literal(request.options["initrd"])
    name = tree.name if tree else request.words[0]
    raw: dict[str, Raw] = {
        "name": "tree",
        "seed": given_tree.literal(name),
        "source": source,
        "system": "none",
        "boot": boot,
        "outputs": ["tgz"],
    }
    with chdir(request.session.shell):
        return load.imagine(raw, tree or request.session.shell / name), None


def _locked(request: Request, recipe: Recipe, lock: Path) -> LockFile | None:
    """Return the packages of a tree that is made of some, resolved first where a build needs them."""
    from bootsmith.tasks.packages import lockfile, renewal
    from bootsmith.tasks.packages import request as asked

    if not asked.needed(recipe):
        return None
    if not request.session.invocation.runs:
        return lockfile.read(lock) if lock.exists() else None
    lock.parent.mkdir(parents=True, exist_ok=True)
    return renewal.ensure(recipe, lock, request.session.identities.store, request.session.progress.tell)


def _refuse(request: Request, recipe: Recipe, locked: LockFile | None) -> None:
    """Refuse what is known to be wrong before anything is made. Raises RecipeError."""
    from bootsmith.tasks.planning import preflight

    with chdir(request.session.shell):
        wrong = preflight.files(recipe, request.session.top / "build")
        wrong += preflight.packages(recipe, locked) if locked else []
    if wrong:
        raise RecipeError(wrong)
