"""What the loaders on an image would start, read from their own files: systemd-boot, GRUB, SYSLINUX, unified images."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError, UsageError
from bootsmith.tasks.inspection.system_tree import Place, SystemTree
from bootsmith.tasks.inspection.volumes import Image

_GRUB = (b"grub/grub.cfg", b"boot/grub/grub.cfg", b"grub2/grub.cfg", b"boot/grub2/grub.cfg")
_SYSLINUX = (b"syslinux/syslinux.cfg", b"boot/syslinux/syslinux.cfg", b"syslinux.cfg", b"extlinux/extlinux.conf",
             b"boot/extlinux/extlinux.conf")  # fmt: skip
_ENTRIES = b"loader/entries"
_UNIFIED = b"EFI/Linux"
_LOADS = {"linux": "kernel", "linuxefi": "kernel", "multiboot": "kernel", "multiboot2": "kernel",
          "initrd": "initrd", "initrdefi": "initrd", "module": "module", "module2": "module"}  # fmt: skip
_VARIABLE = re.compile(r"[$(]")
_LARGEST_UNIFIED = 512 << 20
_LARGEST_TEXT = 1 << 20
_MOST = 1000  # entries in a folder


class Named(NamedTuple):
    """A file that an entry names: "kernel", "initrd" or "module", on which partition, and its path there."""

    role: str
    partition: int
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a loader's menu, and the files that it names; `cmdline` is what its kernel is handed.

    It stands in the file `path` of a partition; `key` is what its loader knows it by, where that is said.
    """

    loader: str
    name: str
    cmdline: str
    files: tuple[Named, ...]
    protocol: str = "linux"
    partition: int = 0
    path: str = ""
    key: str = ""


def found(image: Image) -> Iterator[Found]:
    """Yield the entries of all loaders on an image. Raises StageError for a damaged filesystem."""
    for number in image.readable:
        yield from on(image, number)


def on(image: Image, number: int) -> Iterator[Found]:
    """Yield the entries on a partition. Raises StageError for a damaged filesystem."""
    tree = SystemTree(image, number, {})
    yield from _systemd_boot(tree)
    yield from _unified(tree)
    for path in _GRUB:
        for each in _grub(image, number, tree.text(path, _LARGEST_TEXT)):
            yield replace(each, partition=number, path=path.decode())
    for path in _SYSLINUX:
        for each in _syslinux(number, path, tree.text(path, _LARGEST_TEXT)):
            yield replace(each, partition=number, path=path.decode())


def _names(tree: SystemTree, folder: bytes, suffix: bytes) -> list[Place]:
    try:
        place = tree.find(folder)
    except UsageError:
        return []
    if place.node.kind != "d":
        return []
    found = [each for name, each in tree.children(place) if name.lower().endswith(suffix) and each.node.kind == "f"]
    if len(found) > _MOST:
        raise StageError(f"/{shown(place.path)} holds more entries than are read")
    return found


def _text(place: Place) -> str:
    return place.files.read(place.node, 0, min(place.node.size, _LARGEST_TEXT)).decode("utf-8", "surrogateescape")


def _systemd_boot(tree: SystemTree) -> Iterator[Found]:
    """Read entries of the Boot Loader Specification, type 1."""
    for place in _names(tree, _ENTRIES, b".conf"):
        files, options = [], []
        for line in _text(place).splitlines():
            key, _, value = line.strip().partition(" ")
            value = value.strip()
            if key in ("linux", "initrd", "efi") and value:
                files.append(Named("initrd" if key == "initrd" else "kernel", tree.number, value))
            elif key == "options":
                options.append(value)
        name = shown(place.path.rpartition(b"/")[2])
        where = tree.number, os.fsdecode(place.path), name.rpartition(".")[0]
        yield Found("systemd-boot", name, " ".join(options), tuple(files), "linux", *where)


def _unified(tree: SystemTree) -> Iterator[Found]:
    """Read unified kernel images: those beside a loader, and one that firmware starts itself."""
    from bootsmith.tasks.boot import pe

    for place in [*_names(tree, _UNIFIED, b".efi"), *_names(tree, b"EFI/BOOT", b"x64.efi")]:
        if place.node.size > _LARGEST_UNIFIED:
            raise StageError(f"/{shown(place.path)} is larger than any unified kernel image")
        try:
            program = pe.parse(place.files.read(place.node, 0, place.node.size), shown(place.path))
        except StageError:
            continue
        if program.content(".linux") is None:
            continue
        cmdline = (program.content(".cmdline") or b"").split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        name = shown(place.path)
        key = name.rpartition("/")[2].rpartition(".")[0]
        yield Found("efistub", name, cmdline.strip(), (), "linux", tree.number, os.fsdecode(place.path), key)


def _grub(image: Image, number: int, text: bytes) -> Iterator[Found]:
    """Read menu entries of a grub.cfg; what only a running GRUB could tell is left out."""
    files: list[Named] = []
    title, key, words, at, protocol = "", "", "", number, "linux"
    for line in text.decode("utf-8", "surrogateescape").splitlines():
        stripped = line.strip()
        command = stripped.partition(" ")[0].partition("\t")[0]
        if command == "menuentry":
            (title, key), words, files, at, protocol = _names_of(stripped), "", [], number, "linux"
        elif title and command == "search":
            at = _searched(image, stripped.split(), at)
        elif title and command in _LOADS:
            names, handed = _loaded(command, stripped)
            files += [Named(_LOADS[command], at, name) for name in names]
            if _LOADS[command] == "kernel":
                words, protocol = handed, command if command.startswith("multiboot") else "linux"
        elif title and stripped == "}":
            yield Found("grub", title, words, tuple(files), protocol, key=key)
            title = ""


def _searched(image: Image, words: list[str], here: int) -> int:
    """Return the partition that a `search` finds: -1 for none, and where it does not say by what, the one before."""
    by = next((each[2:] for each in words if each in ("--fs-uuid", "--label")), "")
    value = words[-1].strip("'\"")
    return next((each for each in image.parts if _is(image, each, by, value)), -1) if by else here


def _loaded(command: str, line: str) -> tuple[list[str], str]:
    """Return the files that a command of GRUB loads, and the words that a kernel is handed."""
    try:
        _, *given = shlex.split(line)
    except ValueError:
        return [], ""
    names = given if command.startswith("initrd") else given[:1]
    return [name for name in names if not _VARIABLE.search(name)], " ".join(given[1:])


def _names_of(line: str) -> tuple[str, str]:
    """Return an entry's title, and its id where it has one."""
    try:
        found = [*shlex.split(line), "", ""]
    except ValueError:
        return "?", ""
    return shown(found[1]) or "?", found[found.index("--id") + 1] if "--id" in found else ""


def _is(image: Image, number: int, by: str, value: str) -> bool:
    inside = image.parts[number].filesystem
    return inside is not None and value.lower() == (inside.uuid if by == "fs-uuid" else inside.label).lower()


def _syslinux(number: int, path: bytes, text: bytes) -> Iterator[Found]:
    """Read the labels of a configuration of SYSLINUX or EXTLINUX."""
    folder = path.rpartition(b"/")[0].decode()
    files: list[Named] = []
    label, words = "", ""

    def whole(name: str) -> str:
        return name if name.startswith("/") else f"/{folder}/{name}"

    for line in [*text.decode("utf-8", "surrogateescape").splitlines(), "label"]:
        key, _, value = line.strip().partition(" ")
        key, value = key.lower(), value.strip()
        if key == "label":
            if label and files:
                yield Found("syslinux", label, words, tuple(files), key=label)
            label, words, files = shown(value), "", []
        elif key in ("linux", "kernel") and not value.lower().endswith((".c32", ".0")):
            files.append(Named("kernel", number, whole(value)))
        elif key == "initrd":
            files += [Named("initrd", number, whole(each)) for each in value.split(",")]
        elif key == "append":
            words = value
            files += [
                Named("initrd", number, whole(each)) for word in value.split() if word.startswith("initrd=")
                for each in word.removeprefix("initrd=").split(",")
            ]  # fmt: skip
