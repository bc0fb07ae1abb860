"""VHD, of Virtual PC, Hyper-V and Azure (Virtual Hard Disk Image Format Specification, 1.0): dynamic and fixed."""

from __future__ import annotations

import struct
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import geometry, image
from bootsmith.tasks.disk.formats.blocks import RawDisk
from bootsmith.tasks.disk.formats.origin import Origin
from bootsmith.tasks.errors import StageError

SECTOR: Final = image.SECTOR
BLOCK: Final = 2 << 20
LARGEST: Final = 2040 << 30
"""Bytes of the largest disk that a dynamic one can hold; Hyper-V takes no larger fixed ones either."""
MIB: Final = 1 << 20

_FOOTER: Final = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_HEADER: Final = struct.Struct(">8sQQIIII16sI4x512x192x256x")
_NOWHERE: Final = 0xFFFF_FFFF_FFFF_FFFF
_UNUSED: Final = 0xFFFF_FFFF
_FIXED, _DYNAMIC = 2, 3
_YEAR_2000: Final = 946_684_800
_CREATOR: Final = b"win "
"""Whose disks every reader takes to be as long as they say; of some others it takes what the geometry comes to."""


def run(ctx: Context) -> None:
    """Make a stage's VHD."""
    image.make(ctx, FORMAT)


def _write(disk: RawDisk, made: int, subformat: str, origin: Origin) -> None:
    """Write a disk as "dynamic", "fixed", or "azure": fixed, a whole number of MiB. Raises StageError."""
    if subformat == "azure" and disk.size % MIB:
        raise StageError(
            f"Azure takes whole MiB; the disk has {disk.size} bytes", "Make disk.size a whole number of MiB."
        )
    if subformat == "dynamic":
        _dynamic(disk, made, origin)
        return
    disk.copy(made, 0)
    sparse.write(made, _footer(disk.size, _FIXED, origin), disk.size)


def _dynamic(disk: RawDisk, made: int, origin: Origin) -> None:
    """Write a copy of the footer, the header, the table, the blocks each after its bitmap of sectors, the footer."""
    count = -(-disk.size // BLOCK)
    table_at = SECTOR + _HEADER.size
    end = table_at + -(-4 * count // SECTOR) * SECTOR
    table = [_UNUSED] * (-(-4 * count // SECTOR) * SECTOR // 4)
    bitmap = b"\xff" * SECTOR  # every sector of a block is there
    for number, at in disk.append(made, BLOCK, end, before=bitmap):
        table[number] = at // SECTOR
        end = at + SECTOR + BLOCK
    footer = _footer(disk.size, _DYNAMIC, origin)
    sparse.write(made, footer + _header(count, table_at) + struct.pack(f">{len(table)}I", *table), 0)
    sparse.write(made, footer, end)


FORMAT: Final = image.Format("VHD", "at most 2040 GiB", LARGEST, _write, instead="vhdx")


def _footer(size: int, kind: int, origin: Origin) -> bytes:
    shape = geometry.of_vhd(size // SECTOR)

    def packed(checksum: int) -> bytes:
        return _FOOTER.pack(
            b"conectix", 2, 0x10000, _NOWHERE if kind == _FIXED else SECTOR, max(0, origin.epoch - _YEAR_2000),
            _CREATOR, 0x000A_0000, b"Wi2k", size, size, *shape, kind, checksum, origin.uuid("vhd").bytes, 0,
        )  # fmt: skip

    return packed(_checksum(packed(0)))


def _header(count: int, table_at: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return _HEADER.pack(b"cxsparse", _NOWHERE, table_at, 0x10000, count, BLOCK, checksum, bytes(16), 0)

    return packed(_checksum(packed(0)))


def _checksum(data: bytes) -> int:
    return ~sum(data) & 0xFFFF_FFFF
