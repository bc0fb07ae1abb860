"""VDI, VirtualBox's own format, version 1.1: dynamic and fixed."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import blocks, geometry, image
from bootsmith.tasks.disk.formats.blocks import Report
from bootsmith.tasks.disk.formats.origin import Origin
from bootsmith.tasks.errors import StageError

BLOCK: Final = 1 << 20
SECTOR: Final = 512
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
    image.make(ctx, write)


def write(disk: Path, target: Path, subformat: str, origin: Origin, report: Report) -> None:
    """Write a disk as VDI, "dynamic" or "fixed". Raises StageError."""
    size = blocks.length(disk)
    if size > LARGEST or size % SECTOR:
        raise StageError(
            f"a VDI holds less than 512 TiB, in whole sectors of {SECTOR} bytes; the disk has {size} bytes",
            "Make disk.size a whole number of sectors that fits.",
        )
    count = -(-size // BLOCK)
    data_at = -(-(TABLE_AT + 4 * count) // BLOCK) * BLOCK
    with disk.open("rb") as source, target.open("xb") as made:
        if subformat == "fixed":
            table = array("I", range(count))
            blocks.copy(source.fileno(), size, made.fileno(), data_at, report)
        else:
            table = array("I", [_ABSENT]) * count
            for used, (number, block) in enumerate(blocks.filled(source.fileno(), size, BLOCK, report)):
                table[number] = used
                blocks.write(made.fileno(), block, data_at + used * BLOCK)
        used = count - table.count(_ABSENT)
        made.truncate(data_at + used * BLOCK)
        shape = geometry.of_ata(size // SECTOR)
        header = _HEADER.pack(
            b"<<< Virtual Disk Image >>>\n", _MAGIC, 0x0001_0001, _SIZE, _FIXED if subformat == "fixed" else _DYNAMIC,
            0, b"", TABLE_AT, data_at, *shape, SECTOR, 0, size, BLOCK, 0, count, used,
            origin.uuid("vdi").bytes_le, origin.uuid("vdi", "state").bytes_le, bytes(32), 0, 0, 0, SECTOR,
        )  # fmt: skip
        sparse.write(made.fileno(), header + struct.pack(f"<{count}I", *table), 0)
