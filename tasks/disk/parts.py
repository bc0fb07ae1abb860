"""The partitions of a disk, whatever its table, and what each holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.disk import gpt, mbr, superblock
from bootsmith.tasks.disk.partition_types import TYPES
from bootsmith.tasks.disk.raw_content import Disk, descriptor
from bootsmith.tasks.disk.superblock import Filesystem
from bootsmith.tasks.errors import StageError

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


def sector(disk: Disk) -> int:
    """Return of how many bytes the sectors are that a disk's table counts."""
    table = gpt.decode(disk.read, disk.size)
    return table.sector if table else gpt.SECTOR


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
