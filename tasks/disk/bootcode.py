"""Boot code: what a BIOS starts from a disk's first sector, and the core that this loads from the room a table leaves.

A core lies in a GPT disk's bios-boot partition, on an MBR disk between the table and the first partition. Where that is
only the layout knows, so the code is made without it, with pointers to fill in when the disk is put together.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bootsmith.tasks.disk.sizing import MIB, human
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.disk import Disk

SECTOR = 512
ROOM = 440
"""Bytes of the first sector before the disk's signature and the partitions."""
GRUB_CORE, GRUB_REST = 0x5C, 0x1F4
GRUB_CORE_OF_CD = 0x1B0  # the same in boot_hybrid.img, which stands at the beginning of CDs
"""Where GRUB's boot.img names its core's first sector, and that one the next (include/grub/i386/pc/boot.h)."""
_CODES = (
    (b"Operating system load error.", "SYSLINUX's, for the active partition"),
    (b"Missing OS", "SYSLINUX's, for the legacy-boot partition of a GPT"),
)


class Pointer(NamedTuple):
    """A place, of eight bytes, where the code or the core wants to know the core's first sector, and how much more."""

    inside: Literal["code", "core"]
    at: int
    plus: int = 0


class BootCode(NamedTuple):
    """At most ROOM bytes of the first sector, the core, and what to fill in."""

    code: bytes
    core: bytes = b""
    pointers: tuple[Pointer, ...] = ()

    def at(self, sector: int) -> tuple[bytes, bytes]:
        """Return code and core for a core that begins at that sector."""
        parts = {"code": bytearray(self.code), "core": bytearray(self.core)}
        for pointer in self.pointers:
            struct.pack_into("<Q", parts[pointer.inside], pointer.at, sector + pointer.plus)
        return bytes(parts["code"]), bytes(parts["core"])


def write(files: Mapping[str, Path], made: BootCode) -> None:
    """Write boot code into the files "code", "core" and "pointers"."""
    if len(made.code) > ROOM:
        raise ValueError(f"{len(made.code)} bytes of boot code do not leave the partition table alone")
    files["code"].write_bytes(made.code)
    files["core"].write_bytes(made.core)
    files["pointers"].write_text(json.dumps([pointer._asdict() for pointer in made.pointers]) + "\n")


def read(files: Mapping[str, Path]) -> BootCode:
    """Return the boot code that `write` wrote."""
    pointers = tuple(Pointer(**each) for each in json.loads(files["pointers"].read_bytes()))
    return BootCode(files["code"].read_bytes(), files["core"].read_bytes(), pointers)


def recognised(read: Callable[[int, int], bytes]) -> tuple[str, str]:
    """Return whose code stands in the first sector of a disk, and what is wrong with it; both may be nothing.

    `read(offset, length)` gives the disk's content.
    """
    code = read(0, ROOM)
    if not any(code):
        return "", ""
    if b"GRUB \0Geom\0Hard Disk\0" not in code:
        return next((name for text, name in _CODES if text in code), "code of its own"), ""
    sector = _number(code, GRUB_CORE) or _number(code, GRUB_CORE_OF_CD)
    first = read(sector * SECTOR, SECTOR)
    if b"loading\0.\0" not in first or _number(first, GRUB_REST) != sector + 1:
        return "GRUB", f"the boot sector names sector {sector}, where no core of GRUB begins"
    return f"GRUB, its core at sector {sector}", ""


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def room(disk: Disk) -> tuple[str, int]:
    """Return how many bytes a core may take on a disk, and the key that says so."""
    if disk.table == "mbr":
        starts = dict.fromkeys(list(disk.partitions)[:1], MIB)
        starts |= {name: part.start for name, part in disk.partitions.items() if part.start is not None}
        first = min(starts, key=lambda name: starts[name])
        return f"disk.partitions.{first}.start", starts[first] - SECTOR
    for name, part in disk.partitions.items():
        if part.type == "bios-boot" and isinstance(part.size, int):
            return f"disk.partitions.{name}.size", part.size
    return "disk.partitions", 0


def check(core: bytes, key: str, size: int) -> None:
    """Raise StageError where a core is larger than the `size` bytes that `key` leaves."""
    if len(core) > size:
        least = human(len(core) + (SECTOR if key.endswith(".start") else 0))
        raise StageError(
            f"{key}: the loader's core has {len(core)} bytes, and there is room for {size}", f"Make it {least} or more."
        )


def placed(made: BootCode, layout: Mapping[str, Any]) -> list[tuple[int, bytes]]:
    """Return what to write where on a disk of that layout."""
    if not made.core:
        return [(0, made.code)]
    starts = [each["start"] for each in layout["partitions"] if each["kind"] == "bios-boot"]
    start = SECTOR if layout["table"] == "mbr" else starts[0]
    code, core = made.at(start // SECTOR)
    return [(0, code), (start, core)]
