"""VDI, VirtualBox's own format, version 1.1: dynamic and fixed."""

from __future__ import annotations

import os
import struct
from array import array
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import geometry, image
from bootsmith.tasks.disk.formats.blocks import RawDisk
from bootsmith.tasks.disk.formats.origin import Origin

BLOCK: Final = 1 << 20
TABLE_AT: Final = 512
LARGEST: Final = BLOCK * 0x1FFF_FFFF
"""Bytes of the largest disk that QEMU reads."""

_HEADER: Final = struct.Struct("<64sIIIII256sIIIIIIIQIIII16s16s32sIIII40x")
_MAGIC: Final = 0xBEDA_107F
_SIZE: Final = 400  # of the header, as version 1.1 counts it: from its own size on
_DYNAMIC, _FIXED = 1, 2
_ABSENT: Final = 0xFFFF_FFFF


def run(ctx: Context) -> None:
    """Make a stage's VDI."""
    image.make(ctx, FORMAT)


def _write(disk: RawDisk, made: int, subformat: str, origin: Origin) -> None:
    """Write a disk as "dynamic" or "fixed": the header, the table of blocks, the blocks."""
    count = -(-disk.size // BLOCK)
    data_at = -(-(TABLE_AT + 4 * count) // BLOCK) * BLOCK
    if subformat == "fixed":
        table = array("I", range(count))
        disk.copy(made, data_at)
    else:
        table = array("I", [_ABSENT]) * count
        for number, at in disk.append(made, BLOCK, data_at):
            table[number] = (at - data_at) // BLOCK
    used = count - table.count(_ABSENT)
    os.truncate(made, data_at + used * BLOCK)
    shape = geometry.of_ata(disk.size // image.SECTOR)
    header = _HEADER.pack(
        b"<<< Virtual Disk Image >>>\n", _MAGIC, 0x0001_0001, _SIZE, _FIXED if subformat == "fixed" else _DYNAMIC,
        0, b"", TABLE_AT, data_at, *shape, image.SECTOR, 0, disk.size, BLOCK, 0, count, used,
        origin.uuid("vdi").bytes_le, origin.uuid("vdi", "state").bytes_le, bytes(32), 0, 0, 0, image.SECTOR,
    )  # fmt: skip
    sparse.write(made, header + struct.pack(f"<{count}I", *table), 0)


FORMAT: Final = image.Format("VDI", "less than 512 TiB", LARGEST, _write)
