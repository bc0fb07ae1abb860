"""build-syslinux-bios, build-efistub: disks of trees that no recipe made; one is imagined, and built like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.cache.files import temporary
from bootsmith.tasks.build import workdir
from bootsmith.tasks.build.system_errors import ROOM_THERE, in_words
from bootsmith.tasks.command import session
from bootsmith.tasks.command.actions import given_tree, images, standard_input
from bootsmith.tasks.errors import RecipeError, UsageError
from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.command.request import Request
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.text.nodes import Raw

_FORMATS: Final = ("qcow2", "vmdk", "vdi", "vhd", "vhdx")
"""Endings of `--output` that say the format, as recipes call it; all others are raw."""
_SYSTEM: Final = ("hostname", "password_file", "ssh_key")
"""Options by which the guest is declared."""


def for_bios(request: Request) -> Plan:
    """Return the plan of a disk that SYSLINUX starts. Raises BootsmithError."""
    return _plan(request, "syslinux")


def for_uefi(request: Request) -> Plan:
    """Return the plan of a disk whose kernel image the firmware starts. Raises BootsmithError."""
    return _plan(request, "efistub")


def deliver(request: Request) -> None:
    """Put the disk where `--output` says, unless the very same is there."""
    tree = _tree(request)
    target = output(request, tree)
    if target is not None:
        (disk,) = next(each.plan.outputs for each in request.session.builders if each.plan.recipe == tree)
        put(request, disk, target)


def put(request: Request, disk: Path, target: Path) -> None:
    """Put what was made where it is wanted, unless the very same is there. Raises BootsmithError."""
    from bootsmith.cache.digest.fingerprint import fingerprint
    from bootsmith.tasks.disk import splice

    memo = request.session.identities.memo
    try:
        if not target.exists() or fingerprint(target, memo) != fingerprint(disk, memo):
            with temporary.folder(target.parent) as folder:
                made = folder / target.name
                splice.copy_file(disk, made)
                workdir.guard_target("--output", target)
                made.replace(target)
    except OSError as error:
        raise in_words(error, "--output", target, room=ROOM_THERE) from error
    request.session.progress.tell(str(images.relative(target, request.session.shell)))


def _plan(request: Request, loader: str) -> Plan:
    from bootsmith.tasks.planning import make

    tree = _tree(request)
    if not tree.exists():
        raise UsageError(f"{tree} does not exist", given_tree.NO_TREE)
    if (request.session.top / "build").is_relative_to(tree):
        raise UsageError(f"{tree} holds the build directory, which changes", "Name the root of a tree.")
    output(request, tree)
    recipe = _recipe(request, tree, loader)
    if request.session.invocation.runs:
        _refuse(request, recipe)
    build = request.session.top / "build/disks" / images.own_name(tree) / loader
    return make.plan(recipe, Site(recipe.name, build, build / "none.lock", session.BEGINNING))


def _refuse(request: Request, recipe: Recipe) -> None:
    """Refuse what is known to be wrong before anything is made, in the words of the options. Raises BootsmithError."""
    from bootsmith.tasks.planning import own_tree, preflight
    from bootsmith.tasks.recipe.model.source import Tar
    from bootsmith.tasks.tree import archive, file_kinds

    if isinstance(recipe.source, Tar):
        archive.packing(recipe.source.file)
        file_kinds.check_tar(recipe.source.file)
    with chdir(request.session.shell):
        for key, what, _ in own_tree.lacks(recipe):
            if key.startswith("source"):
                raise UsageError(what, "Leave out --hostname, --password-file and --ssh-key, or add the files.")
            raise UsageError(what, "Give one: --kernel FILE, and its --initrd FILE.")
        wrong = preflight.files(recipe, request.session.top / "build")
    if wrong:
        raise RecipeError([each.replace(f"{shown(recipe.file)}: boot.", "--") for each in wrong])


def output(request: Request, tree: Path | None) -> Path | None:
    """Return the file that `--output` names, None where it names none. Raises BootsmithError for what cannot be one."""
    if request.options["output"] is None:
        return None
    target = request.session.shell / str(request.options["output"])
    workdir.guard_target("--output", target)
    if not target.parent.is_dir():
        raise UsageError(f"--output {target}: there is no such directory", "Make it, or name a file elsewhere.")
    if tree is not None and target.resolve().is_relative_to(tree):
        raise UsageError(f"--output {target} is, or lies in, what it is made from", "Name a file elsewhere.")
    return target


def _recipe(request: Request, tree: Path, loader: str) -> Recipe:
    """Return the recipe: the tree as it is, but for /etc/fstab, which is of some other disk."""
    from bootsmith.tasks.planning.stages import system
    from bootsmith.tasks.recipe import load
    from bootsmith.tasks.recipe.model.layers import Files, FileSpec

    asked = {name: given_tree.literal(value) for name, value in request.options.items() if value is not None}
    has_root = any(word.startswith("root=") for word in asked.get("cmdline", "").split())
    boot = {name: asked.get(name) for name in ("kernel", "initrd", "cmdline")}
    raw: dict[str, Raw] = {
        "name": loader,
        "seed": given_tree.literal(tree.name),
        "source": given_tree.source(tree, asked.get("subdir")),
        "system": _system(tree, asked),
        "disk": {"size": asked.get("size")},
        "boot": {"loader": loader, **boot, "root": "none" if has_root else None},
        "outputs": [_format(request)],
    }
    with chdir(request.session.shell):  # paths among the options are the user's
        recipe = load.imagine(raw, tree)
    # The loader's partition need not be mounted: a guest without FAT must not stop for it.
    mounts = [
        each if each.mount == "/" else replace(each, options="nofail") for each in recipe.disk.partitions.values()
    ]
    fstab = FileSpec(None, system.fstab(mounts, "uuid"), 0o644, "root", "root")
    return replace(recipe, layers=(Files("fstab", {"/etc/fstab": fstab}),))


def _tree(request: Request) -> Path:
    """Return the tree that was named; what came by standard input is kept below build/disks, by its content."""
    named = images.named(request)
    if named.name != "-" or named.parent != request.session.shell:
        return named.resolve()
    return standard_input.kept(request.session.top / "build/disks", asked=request.session.invocation.runs)


def _system(tree: Path, asked: Mapping[str, str]) -> Raw:
    """Return what the guest is declared to be: nothing, where no option says any of it."""
    if not any(name in asked for name in _SYSTEM):
        return "none"
    root: dict[str, Raw] = {}
    if password := asked.get("password_file"):
        root["password"] = {"file": password}
    if key := asked.get("ssh_key"):
        root["ssh_keys"] = [key]
    name = asked.get("hostname") or re.sub(r"[^A-Za-z0-9-]", "-", tree.name.partition(".")[0]).strip("-")[:63]
    return {
        "hostname": name or "localhost",
        "users": {"root": root},
        "network": "none",
        "ssh_host_keys": "keep",
        "fstab": "none",
    }


def _format(request: Request) -> str:
    ending = Path(str(request.options["output"] or "")).suffix.lower().lstrip(".")
    return ending if ending in _FORMATS else "raw"
