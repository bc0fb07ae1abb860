"""What a disk image holds, read without mounting: its table, its filesystems, the loader's files, its sizes."""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from bootsmith.tasks.disk import gpt, superblock
from bootsmith.tasks.disk.partition import TYPES
from bootsmith.tasks.disk.superblock import Filesystem, Read
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.tools import host, process

_FORMATS = ((b"QFI\xfb", "qcow2"), (b"KDMV", "vmdk"), (b"vhdxfile", "vhdx"), (b"conectix", "vhd"))
_LOADER_FOLDERS = ("efi/", "loader/", "grub/", "boot/grub/")
_MBR_ENTRY = struct.Struct("<B3xB3xII")
_EXTERNAL_DATA = 4  # qcow2's incompatible feature bit 2


@dataclass(frozen=True, slots=True)
class Part:
    """A partition, or the whole of a disk without a table (number 0); sizes in bytes."""

    number: int
    name: str
    type: str
    guid: str
    start: int
    size: int
    filesystem: Filesystem | None
    loader: tuple[str, ...]
    """Paths of a bootloader's files on it; FAT only."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """`disk` is the size a machine sees, `file` the file's own, `occupied` what it takes where it is stored."""

    path: str
    format: str
    disk: int
    file: int
    occupied: int
    table: str
    id: str
    parts: tuple[Part, ...]
    problems: tuple[str, ...]


def to_json(found: Inspection) -> dict[str, Any]:
    """Return it as data for JSON."""
    return asdict(found)


def to_text(found: Inspection) -> str:
    """Return it as lines for people."""
    sizes = f"{_size(found.disk)} disk, {_size(found.file)} file, {_size(found.occupied)} occupied"
    lines = [f"{found.path}: {found.format}, {sizes}", f"table: {found.table}{found.id and f' {found.id}'}"]
    for part in found.parts:
        place = f"{_size(part.size):>9} at {_size(part.start):<9} {part.type}"
        lines.append(f"{part.number:>3} {part.name or '-':<12} {place}{part.guid and f' {part.guid}'}")
        inside = part.filesystem
        if inside:
            free = "" if inside.free is None else f", {_size(inside.free)} free"
            lines.append(f"    {inside.kind} {inside.label!r} {inside.uuid}, {_size(inside.size)}{free}")
        lines += [f"    {path}" for path in part.loader]
    return "\n".join([*lines, *(f"problem: {problem}" for problem in found.problems)])


def inspect(image: Path) -> Inspection:
    """Return what a raw or qcow2 image holds. Raises UsageError for anything else."""
    if not image.is_file():
        raise UsageError(f"{image} is not a file", "Name a disk image, or build one first: `doit image`.")
    kind = _format(image)
    facts = image.stat()
    with _as_raw(image, kind) as raw, raw.open("rb") as disk:
        size = os.fstat(disk.fileno()).st_size
        table, identity, parts, problems = _parts(raw, disk, size)
    return Inspection(
        str(image), kind, size, facts.st_size, facts.st_blocks * 512, table, identity, tuple(parts), tuple(problems)
    )


def _format(image: Path) -> str:
    with image.open("rb") as file:
        first = file.read(8)
    return next((name for magic, name in _FORMATS if first.startswith(magic)), "raw")


@contextlib.contextmanager
def _as_raw(image: Path, kind: str) -> Iterator[Path]:
    """Yield the raw disk: the image itself, or a sparse copy that is gone afterwards."""
    if kind == "raw":
        yield image
        return
    if kind != "qcow2":
        raise UsageError(f"{image} is a {kind} image; raw and qcow2 can be inspected")
    with image.open("rb") as file:
        header = file.read(80)
    backing, version, features = header[8:16], header[4:8], header[72:80]
    if any(backing) or (int.from_bytes(version, "big") > 2 and int.from_bytes(features, "big") & _EXTERNAL_DATA):
        raise UsageError(
            f"{image} holds only part of a disk: it names another file", "Convert it into a whole one first."
        )
    with tempfile.TemporaryDirectory(prefix="bootsmith-") as folder:
        raw = Path(folder, "disk.raw")
        words: list[str | Path] = [host.find("qemu-img"), "convert", "-f", "qcow2", "-O", "raw", image.resolve(), raw]
        process.run(words, env={"PATH": host.PATH, "LC_ALL": "C.UTF-8"}, cwd=Path(folder))
        yield raw


def _parts(path: Path, disk: BinaryIO, size: int) -> tuple[str, str, list[Part], list[str]]:
    """Return the table's kind and id, the partitions, and what is wrong."""
    read = partial(_read, disk.fileno(), size)
    boot = read(0, gpt.SECTOR)
    table = gpt.decode(read, size)
    if table is not None:
        names = {guid: name for name, guid in TYPES.items()}
        slots = [replace(slot, type=names.get(slot.type, slot.type)) for slot in table.slots]
        parts = [_part(path, read, number, slot) for number, slot in enumerate(slots, 1)]
        outside = [
            f"partition {each.number} reaches beyond the disk" for each in parts if each.start + each.size > size
        ]
        return "gpt", table.guid, parts, [*table.problems, *outside]
    if superblock.probe(read) is not None:
        return "none", "", [_part(path, read, 0, gpt.Slot(0, size, "whole disk", ""))], []
    if boot[510:] == b"\x55\xaa":
        return "mbr", f"{int.from_bytes(boot[440:444], 'little'):08x}", list(_mbr_parts(path, read, boot)), []
    return "none", "", [], []


def _mbr_parts(path: Path, read: Read, boot: bytes) -> Iterator[Part]:
    for number in range(1, 5):
        _, kind, first, sectors = _MBR_ENTRY.unpack_from(boot, 446 + 16 * (number - 1))
        if kind and sectors:
            yield _part(path, read, number, gpt.Slot(first * gpt.SECTOR, sectors * gpt.SECTOR, f"0x{kind:02x}", ""))


def _part(path: Path, read: Read, number: int, slot: gpt.Slot) -> Part:
    def inside(offset: int, length: int) -> bytes:
        return read(slot.start + offset, min(length, slot.size - offset))

    found = superblock.probe(inside)
    loader = _loader_files(path, slot.start) if found and found.kind.startswith("FAT") else ()
    return Part(number, slot.name, slot.type, slot.guid, slot.start, slot.size, found, loader)


def _read(fd: int, size: int, offset: int, length: int) -> bytes:
    """Return bytes of a disk, fewer at its end; a table may name any place at all."""
    return os.pread(fd, length, offset) if 0 <= offset < size and length > 0 else b""


def _loader_files(path: Path, start: int) -> tuple[str, ...]:
    """Return the paths of loaders and their configuration on a FAT partition."""
    with tempfile.TemporaryDirectory(prefix="bootsmith-") as folder:
        Path(folder, "image").symlink_to(path.resolve())  # mtools have a shell expand an image's name
        listed = process.run(
            [host.find("mdir"), "-/", "-b", "-i", f"image@@{start}", "::"],
            env={"PATH": host.PATH, "LC_ALL": "C.UTF-8", "MTOOLS_SKIP_CHECK": "1"},
            cwd=Path(folder),
            check=False,
        )
    names = (line.removeprefix("::/") for line in listed.stdout.decode(errors="replace").splitlines())
    return tuple(sorted(name for name in names if name.lower().startswith(_LOADER_FOLDERS) and not name.endswith("/")))


def _size(size: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}" if size % scale else f"{size // scale} {unit}"
    return f"{size} B"
