"""What can be told to be wrong before anything is built: a file that is no kernel or initrd, a tree without a kernel.

It spares the wait, and decides nothing: the stages that take these files judge them again, whole and as they are then.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.boot import multiboot, own_kernel
from bootsmith.tasks.disk import cidata
from bootsmith.tasks.disk.kernel_paths import key
from bootsmith.tasks.packages import kernel_package, loader_packages, system_packages
from bootsmith.tasks.planning import own_tree
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.model.source import Tar
from bootsmith.tasks.tools import programs
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tree import boot_formats, cloud_config, file_kinds, initrd_archive
from bootsmith.tasks.tree.installed_kernel import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootsmith.tasks.packages.lockfile import LockFile
    from bootsmith.tasks.recipe.model.recipe import Recipe


def files(recipe: Recipe, builds: Path) -> list[str]:
    """Return what is wrong with the files a recipe names, each as `file: key: what; what to do`.

    What lies below the folder `builds` is left out: another recipe may be about to make it anew.
    """
    found = [(where, f"{what}; name another file") for where, what in _files(recipe, builds)]
    if isinstance(recipe.source, Tar) and _beginning(recipe.source.file, builds) is not None:
        kind = file_kinds.of(recipe.source.file)
        if kind and kind.is_a not in ("tar", "packed"):
            found.append(("source.tar", f"{_shown(recipe.source.file)} is no tar: it is {kind.what}; {kind.to_do}"))
    found += _cloud_init(recipe, builds)
    found += [(where, f"{what}; {cure}") for where, what, cure in own_tree.lacks(recipe)]
    return [f"{shown(recipe.file)}: {where}: {what}" for where, what in found]


def _cloud_init(recipe: Recipe, builds: Path) -> Iterator[tuple[str, str]]:
    said = None if recipe.system == "none" else recipe.system.cloud_init
    for name in cidata.FILES if said else ():
        file = getattr(said, name)
        if isinstance(file, Path) and _beginning(file, builds) is not None:
            with file.open("rb") as opened:
                why = cloud_config.refusal(name, opened.read(cloud_config.LARGEST + 1))
            if why:
                yield f"system.cloud_init.{name}", f"{_shown(file)} {why}"


def doubts(recipe: Recipe) -> list[str]:
    """Return what is probably wrong, each as `file: key: what; what to do`: modules that the GRUB of this host has not.

    That of the tree, which may be another, judges much later.
    """
    found = []
    for loader in recipe.boot.loader if recipe.boot.grub_modules else ():
        tool = next((tool for tool in loader_packages.loader(loader).HOST if tool.startswith("grub-")), None)
        place = programs.place(TOOLS[tool]) if tool else None
        known = {path.stem for path in place.parent.glob("*.mod")} if place else set()
        for name in recipe.boot.grub_modules:
            if place and name not in known:
                near = nearest(name, sorted(known))
                meant = f"; did you mean {near}?" if near else "; is it one of the image's GRUB?"
                what = f"the GRUB of this host, for {place.parent.name}, has no module {name}{meant}"
                found.append(f"{shown(recipe.file)}: boot.grub_modules: {what}")
    return found


def _files(recipe: Recipe, builds: Path) -> Iterator[tuple[str, str]]:
    boot = recipe.boot
    for entry, kernel in boot_files.kernels(boot).items():
        file = None if isinstance(kernel, str) else kernel.file
        if isinstance(file, Path) and (begin := _beginning(file, builds)) is not None:
            head, size = begin
            why = own_kernel.early_refusal(head, boot.protocol, recipe.arch, size)
            if why:
                yield key(entry, "kernel"), f"{_shown(file)} cannot be the kernel: it {why}"
    for entry, initrd in boot_files.initrds(boot).items():
        source = initrd.source
        if isinstance(source, Path) and (begin := _beginning(source, builds)) is not None:
            head, _ = begin
            if not boot_formats.initrd(head):
                why = initrd_archive.head_refusal(head)
                yield key(entry, "initrd"), f"{_shown(source)} cannot be the initrd: it {why}"
    for module in {each.path: each for entry in boot.entries.values() for each in entry.modules}.values():
        added = module.file
        if isinstance(added, Path) and (begin := _beginning(added, builds)) is not None:
            head, size = begin
            packed = boot_formats.packing(head)
            why = None if packed else multiboot.module_refusal(head, module.args, recipe.arch, size)
            if why:
                yield "boot.modules", f"{_shown(added)} cannot be the module {module.path}: it {why}"


def packages(recipe: Recipe, lock: LockFile) -> list[str]:
    """Return what is wrong with the packages a recipe comes to; the lock fits it."""
    found = system_packages.missing(recipe, lock)
    what = kernel_package.missing(recipe, lock)
    if what is not None:
        entry = next(entry for entry, kernel in boot_files.kernels(recipe.boot).items() if isinstance(kernel, str))
        found.append((key(entry, "kernel"), what))
    return [f"{shown(recipe.file)}: {where}: {what}" for where, what in found]


def _beginning(file: Path, builds: Path) -> tuple[bytes, int] | None:
    """Return the beginning of a file and how long it is; None where the stage is to tell.

    It cannot be read, or may be made anew.
    """
    if file.resolve().is_relative_to(builds.resolve()):
        return None
    try:
        with file.open("rb") as source:
            return source.read(HEAD), os.fstat(source.fileno()).st_size
    except OSError:
        return None


def _shown(file: Path) -> str:
    return shown(Path(os.path.normpath(file)))
