"""What a disk image holds, read without mounting: its table, its filesystems, the loader's files, its sizes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bootsmith.cache.display import shown
from bootsmith.tasks.disk import bootcode, gpt, image_format, mbr, qcow2, superblock
from bootsmith.tasks.disk.image_content import Disk, descriptor, opened
from bootsmith.tasks.disk.partition_table import TYPES
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.disk.superblock import Filesystem
from bootsmith.tasks.errors import BootsmithError, StageError, UsageError

_LOADER_FILES = (
    "efi/",
    "loader/",
    "grub/",
    "boot/grub/",
    "syslinux/",
    "syslinux.cfg",
    "ldlinux.",
    "menu.c32",
    "libutil.",
)
_LEGACY_BOOT = 1 << 2


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
    mark: str = ""
    """What a BIOS loader finds it by: "active" on MBR, "legacy-boot" on GPT."""


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
    code: str
    """Whose code stands in the first sector; nothing where there is none."""
    parts: tuple[Part, ...]
    problems: tuple[str, ...]


def to_json(found: Inspection) -> dict[str, Any]:
    """Return it as data for JSON."""
    return asdict(found)


def to_text(found: Inspection) -> str:
    """Return it as lines for people."""
    sizes = f"{_size(found.disk)} disk, {_size(found.file)} file, {_size(found.occupied)} occupied"
    lines = [f"{found.path}: {found.format}, {sizes}", f"table: {found.table}{found.id and f' {found.id}'}"]
    lines += [f"boot sector: {found.code}"] if found.code else []
    for part in found.parts:
        place = f"{_size(part.size):>9} at {_size(part.start):<9} {part.type}"
        marks = "".join(f" {word}" for word in (part.mark, part.guid) if word)
        lines.append(f"{part.number:>3} {part.name or '-':<12} {place}{marks}")
        inside = part.filesystem
        if inside:
            free = "" if inside.free is None else f", {_size(inside.free)} free"
            lines.append(f"    {inside.kind} {inside.label!r} {inside.uuid}, {_size(inside.size)}{free}")
        lines += [f"    {path}" for path in part.loader]
    return "\n".join([*lines, *(f"problem: {problem}" for problem in found.problems)])


def inspect(image: Path, passphrase: Passphrase | None = None) -> Inspection:
    """Return what an image holds. Raises UsageError for what is none, BootsmithError for a damaged one."""
    if not image.is_file():
        raise UsageError(f"{shown(image)} is not a file", "Name a disk image, or build one first: `doit image`.")
    kind = format_of(image, opens=passphrase is not None)
    if kind == "qcow2":
        qcow2.check_whole(image)
    facts, named = image.stat(), image_format.NAMES.get(kind, kind)
    with opened(image, kind, passphrase) as disk:
        size = disk.size
        table, identity, found, problems = parts(disk)
        code, damage = bootcode.recognised(disk.read) if table != "none" else ("", "")
    return Inspection(
        path=str(image), format=named, disk=size, file=facts.st_size, occupied=facts.st_blocks * 512, table=table,
        id=identity, code=code, parts=tuple(found), problems=(*problems, *filter(None, [damage])),
    )  # fmt: skip


def format_of(image: Path, *, opens: bool) -> str:
    """Return the format of what can be inspected. Raises UsageError; `opens` says that there is a passphrase."""
    try:
        return image_format.recognise(image, opens=opens)
    except BootsmithError as error:
        raise UsageError(error.message, error.hint) from error


def parts(disk: Disk) -> tuple[str, str, list[Part], list[str]]:
    """Return the table's kind and id, the partitions, and what is wrong."""
    read, size = disk.read, disk.size
    table = gpt.decode(read, size)
    if table is not None:
        names = {guid: name for name, guid in TYPES.items()}
        slots = [replace(slot, type=names.get(slot.type, slot.type)) for slot in table.slots]
        found = [_part(disk, slot.number, slot) for slot in slots]
        outside = [
            f"partition {each.number} reaches beyond the disk" for each in found if each.start + each.size > size
        ]
        return "gpt", table.guid, found, [*table.problems, *outside]
    if superblock.probe(read) is not None:
        return "none", "", [_part(disk, 0, gpt.Slot(0, size, "whole disk", ""))], []
    primaries = mbr.decode(read(0, mbr.SECTOR), size)
    if primaries is None:
        whole = _part(disk, 0, gpt.Slot(0, size, "whole disk", ""))
        return "none", "", [whole] if whole.filesystem else [], []
    found = [
        replace(_part(disk, number, gpt.Slot(slot.start, slot.size, f"0x{slot.type:02x}", "")),
                mark="active" if slot.active else "")
        for number, slot in primaries.slots.items()
    ]  # fmt: skip
    return "mbr", primaries.signature, found, list(primaries.problems)


def _part(disk: Disk, number: int, slot: gpt.Slot) -> Part:
    def inside(offset: int, length: int) -> bytes:
        return disk.read(slot.start + offset, min(length, slot.size - offset))

    found = superblock.probe_any(inside)
    loader = _loader_files(disk, slot.start, slot.size) if found and found.kind.startswith("FAT") else ()
    mark = "legacy-boot" if slot.attributes & _LEGACY_BOOT else ""
    return Part(number, slot.name, slot.type, slot.guid, slot.start, slot.size, found, loader, mark)


def _loader_files(disk: Disk, start: int, size: int) -> tuple[str, ...]:
    """Return the paths of loaders and their configuration on a FAT partition; none of one that is damaged."""
    from bootsmith.tasks.disk.fat_files import FatFiles

    found: list[str] = []
    try:
        with descriptor(disk, start, size) as (fd, offset):
            files = FatFiles(Path("FAT"), fd, offset, size)
            for path, node in files.walk(_may_hold_loaders):
                if node.kind == "f" and shown(path).lower().startswith(_LOADER_FILES):
                    found.append(shown(path))
    except StageError:
        return ()
    return tuple(sorted(found))


def _may_hold_loaders(folder: bytes) -> bool:
    path = f"{shown(folder).lower()}/"
    return any(path.startswith(each) or each.startswith(path) for each in _LOADER_FILES)


def _size(size: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}" if size % scale else f"{size // scale} {unit}"
    return f"{size} B"
