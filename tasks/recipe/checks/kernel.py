"""What booting must be as a whole: a kernel that is somewhere, an initrd that can be made, modules that are taken."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from bootsmith.cache.display import shown
from bootsmith.tasks.recipe import boot_files, cmdline, tree_packages
from bootsmith.tasks.recipe.loaders import partitions
from bootsmith.tasks.recipe.loaders.kinds import KINDS, readers
from bootsmith.tasks.recipe.model.boot import Boot, BootEntry, Module
from bootsmith.tasks.recipe.model.disk import Partition
from bootsmith.tasks.recipe.model.layers import Files, Links, Overlay, Packages, Remove, Run, Script
from bootsmith.tasks.recipe.model.outputs import Cidata, InitramfsOutput, Iso, KernelOutput
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import Arch, Debian, Directory, Fedora, Nothing
from bootsmith.tasks.recipe.model.tree_outputs import TreeOutput
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath

_STAGES = ("tree", "view")  # below initramfs/
_MAKE_INIT = "write the program or script that is to run first, and make it executable"


def _said(boot: Boot, name: Literal["kernel", "initrd"]) -> Iterator[tuple[KeyPath, BootEntry]]:
    """Yield each entry with where its kernel or its initrd is said: by itself, or for all of them."""
    for entry in boot.entries.values():
        own = getattr(entry, name) != getattr(boot, name)
        yield ("boot", "entries", entry.name, name) if own else ("boot", name), entry


_NO_APT = "this source's tree has no apt to install one; name a kernel: a PATH, or {package:, path:}"
_NOT_INSTALLED: dict[type, str] = {
    Arch: "Arch has several kernels; add one, such as linux, to source.arch.packages, and write auto",
    Fedora: "add Fedora's, kernel-core, to source.fedora.packages, and write auto",
}


def _kernel(recipe: Recipe) -> Iterable[Finding]:
    boot = recipe.boot
    starting = [*readers(boot.loader), *(name for name in boot.loader if name in ("efistub", "direct"))]
    nothing = isinstance(recipe.source, Nothing) and not recipe.layers
    for path, entry in _said(boot, "kernel"):
        if entry.kernel == "auto" and boot.protocol == "linux" and nothing:
            yield path, "there is no kernel in an empty tree; name one: a PATH, or {package:, path:}"
        can = isinstance(recipe.source, Debian) or tree_packages.is_given(recipe)
        if entry.kernel == "install" and boot.protocol == "linux" and not can:
            yield path, _NOT_INSTALLED.get(type(recipe.source), _NO_APT)
        if entry.kernel == "none" and starting and not recipe.bootless:
            yield path, f"{' and '.join(starting)} would have nothing to start; write auto, or name a kernel"
    kept = boot_files.default(boot)
    if kept and kept.kernel == "none" and any(isinstance(each, KernelOutput) for each in recipe.outputs):
        yield ("outputs",), "boot.kernel is none, so there is no kernel to keep; remove that output"
    for path, entry in _said(boot, "initrd"):
        if entry.initrd == "auto" and entry.kernel == "none" and not starting:
            yield path, "auto goes by the kernel, and boot.kernel is none; write none, or a file of your own"
        elif entry.initrd == "auto" and isinstance(recipe.source, Nothing):
            what = "an empty tree has neither an initrd nor the tools that make one"
            yield path, f"{what}; write none, tree, or a file of your own"
        if (
            entry.initrd == "none"
            and boot.protocol == "linux"
            and boot.root in ("uuid", "label")
            and not recipe.bootless
        ):
            yield from _rootless(boot, path, entry)


def _rootless(boot: Boot, path: KeyPath, entry: BootEntry) -> Iterable[Finding]:
    """Find a kernel without an initrd that is told its root filesystem as only an initrd understands it."""
    what = f"Linux without an initrd finds no filesystem by {boot.root}"
    if path == ("boot", "initrd"):
        yield ("boot", "root"), f"{what}; write partuuid, or a device like /dev/vda"
    elif not any(word.startswith("root=") for word in entry.cmdline.split()):
        yield path, f"{what}; write boot.root: partuuid, or root= with a device into the entry's cmdline"


def _cmdline(recipe: Recipe) -> Iterable[Finding]:
    """Find what Linux would cut off its command line, or read otherwise than it is meant."""
    boot = recipe.boot
    if boot.protocol != "linux":
        return
    for name, entry in boot.entries.items():
        path: KeyPath = ("boot", "entries", name, "cmdline") if entry.cmdline else ("boot", "cmdline")
        length = len(cmdline.of_entry(boot, recipe.disk, entry.cmdline).encode())
        if length > cmdline.LONGEST:
            what = (
                f"the command line comes to {length} bytes, and Linux drops all after {cmdline.LONGEST} without a word"
            )
            yield path, f"{what}; shorten it"
    root = next((each for each in recipe.disk.partitions.values() if each.mount == "/"), None)
    if boot.root == "none" or root is None:
        return
    if any(word.startswith("root=") for word in boot.cmdline.split()):
        what = "boot.root writes root= already, and of two Linux takes the last"
        yield ("boot", "cmdline"), f"{what}; remove it here, or write boot.root: none"
    if boot.root == "label" and re.search(r"[\s\"]", root.label):
        what = f"the label {root.label!r} of {root.name} is not one word of a command line"
        yield ("boot", "root"), f"{what}; take another label, or write uuid"


def _without_disk(recipe: Recipe) -> Iterable[Finding]:
    """Without a disk, everything is in the initrd."""
    if recipe.disk.partitions:
        return
    for path, entry in _said(recipe.boot, "initrd"):
        if entry.initrd != "tree":
            what = "direct starts a kernel without a disk, so all there is must be in the initrd"
            yield path, f"{what}; write tree"
    for number, output in enumerate(recipe.outputs):
        if not isinstance(output, KernelOutput | InitramfsOutput | Iso | Cidata | TreeOutput):
            yield ("outputs", number, output.kind), "there is no disk to keep; write outputs: [kernel, initramfs]"


def _machines(recipe: Recipe) -> Iterable[Finding]:
    for number, name in enumerate(recipe.boot.loader):
        if recipe.arch == "i386" and KINDS[name].firmware == "uefi" and not recipe.bootless:
            yield ("boot", "loader", number), f"{name} is for 64-bit machines; with arch: i386 write grub-bios"


def _multiboot(recipe: Recipe) -> Iterable[Finding]:
    boot = recipe.boot
    if boot.protocol == "linux":
        for path, _ in _modules(recipe):
            yield path, "Linux takes no modules from its loader; write protocol: multiboot, or put it in the initrd"
        return
    for path, entry in _said(boot, "kernel"):
        if isinstance(entry.kernel, str):
            what = f"bootsmith finds no {boot.protocol} kernel by itself"
            yield path, f"{what}; name one: {{first: [PATH], as: /boot/kernel}}"
        elif entry.kernel.path is None and path == ("boot", "kernel"):
            yield path, "it has no usual place in the tree; add as: /boot/kernel, or another place"
    if boot.root != "none":
        yield ("boot", "root"), "root= is for Linux; write it into boot.cmdline as the kernel reads it"
    for path, entry in _said(boot, "initrd"):
        if entry.initrd != "none":
            what = f"{boot.protocol} kernels take modules, not an initrd"
            yield path, f"{what}; write none, and name the file in boot.modules"


def _modules(recipe: Recipe) -> Iterator[tuple[KeyPath, Module]]:
    for number, module in enumerate(recipe.boot.modules):
        yield ("boot", "modules", number), module
    for name, entry in recipe.boot.entries.items():
        for number, module in enumerate(entry.modules if entry.modules is not recipe.boot.modules else ()):
            yield ("boot", "entries", name, "modules", number), module


def _places(recipe: Recipe) -> Iterable[Finding]:
    """Find files of the loader's that stand in each other's way in the tree."""
    seen: dict[str, object] = {}
    home = partitions.kernels(recipe.disk, recipe.boot.place)
    fat = home is not None and home.fs == "vfat"
    for path, entry in sorted(_said(recipe.boot, "kernel"), key=lambda said: len(said[0])):  # that of all, first
        kernel = entry.kernel
        if isinstance(kernel, str) or kernel.path is None:
            continue
        yield from _home(recipe, (*path, "as"), kernel.path, home)
        if seen.setdefault(kernel.path.lower() if fat else kernel.path, kernel.file) != kernel.file:
            yield (*path, "as"), f"another file stands at {kernel.path} already; take another place"
    for path, module in _modules(recipe):
        yield from _home(recipe, (*path, "as"), module.path, home)
        if seen.setdefault(module.path.lower() if fat else module.path, module.file) != module.file:
            yield (*path, "as"), f"another file stands at {module.path} already; take another place"


def _names(recipe: Recipe) -> Iterable[Finding]:
    """Find entries whose names cannot be those of files: a FAT filesystem has fewer names than a recipe."""
    boot, home = recipe.boot, partitions.kernels(recipe.disk, recipe.boot.place)
    own = {*boot_files.kernels(boot), *boot_files.initrds(boot)} - {boot_files.BOOT}
    seen: dict[str, str] = {}
    for name in boot.entries:
        path: KeyPath = ("boot", "entries", name)
        on_fat = home is not None and home.fs == "vfat" and name in own
        if on_fat or {"systemd-boot", "efistub"} & {*boot.loader}:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                yield path, f"on a FAT filesystem {name} and {other} are one name; take another one"
        if on_fat and name.endswith("."):
            yield path, "no folder on a FAT filesystem can be called so; take a name without a dot at its end"
        if name in boot_files.initrds(boot) and name in _STAGES:
            yield path, f"bootsmith has a stage initramfs/{name} of its own; take another name"


def _home(recipe: Recipe, key: KeyPath, path: str, home: Partition | None) -> Iterable[Finding]:
    """Find a file of the loader's that is on another partition than where the loader looks."""
    mounts = {str(part.mount).rstrip("/") + "/": part for part in recipe.disk.partitions.values() if part.mount}
    above = max((mount for mount in mounts if path.startswith(mount)), key=len, default=None)
    if home and home.mount and above and mounts[above] is not home:
        yield key, f"it must be on {home.name}, where the loader looks; write a path below {home.mount}"
    elif not home:
        yield key, "there is no disk for it to stand on; remove this"


def _initrd(recipe: Recipe) -> Iterable[Finding]:
    boot = recipe.boot
    for number, output in enumerate(recipe.outputs):
        if isinstance(output, InitramfsOutput):
            path: KeyPath = ("outputs", number, "initramfs")
            kept = boot_files.default(boot)
            if kept and kept.initrd == "none":
                yield path, "boot.initrd is none, so there is none to keep; remove this output"
            elif kept and kept.initrd != "tree" and output.compress is not None:
                what = "what the tree's tools or others made stays as it is packed"
                yield (*path, "compress"), f"{what}; remove this, or write boot.initrd: tree"
    if any(entry.initrd == "tree" for entry in boot.entries.values()):
        yield from _init(recipe)


def _init(recipe: Recipe) -> Iterable[Finding]:
    """Find out about the /init of an initramfs as soon as can be: the last layer that could bring it decides."""
    source = recipe.source
    if not isinstance(source, Directory | Nothing):
        return
    place: KeyPath = ("source",)
    init: Path | None = source.path / "init" if isinstance(source, Directory) else None
    for number, layer in enumerate(recipe.layers):
        match layer:
            case Overlay(to="/") if os.path.lexists(layer.source / "init"):
                place, init = ("layers", number), layer.source / "init"
            case Packages() | Run() | Script():
                return  # what they bring is seen when they have run
            case Files() | Links() if "/init" in (layer.files if isinstance(layer, Files) else layer.links):
                return  # its mode is the layer's, its target the tree's: told when it is packed
            case Remove():
                return
    if init is None or not os.path.lexists(init):
        where = f" ({shown(init)})" if init else ""
        yield place, f"an initramfs starts with /init, and there is none{where}; {_MAKE_INIT}"
    elif init.is_file() and not init.stat().st_mode & 0o111:
        yield place, f"{shown(init)} is not executable, so nothing would start; chmod +x it"


RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("boot",), ("disk",), ("source",), ("layers",), ("outputs",)), _kernel),
    ((("boot",), ("disk",)), _cmdline),
    ((("boot",), ("disk",), ("outputs",)), _without_disk),
    ((("arch",), ("boot",), ("outputs",)), _machines),
    ((("boot",),), _multiboot),
    ((("boot",), ("disk",)), _places),
    ((("boot",), ("disk",)), _names),
    ((("boot", "initrd"), ("source",), ("layers",), ("outputs",)), _initrd),
)
