"""VHDX, Hyper-V's format (MS-VHDX): dynamic and fixed. Its log is empty: nothing in it is to be replayed."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import cache
from typing import Final
from uuid import UUID

from bootsmith.cache.files import sparse
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import image
from bootsmith.tasks.disk.formats.blocks import RawDisk
from bootsmith.tasks.disk.formats.origin import Origin

MIB: Final = 1 << 20
SECTOR: Final = image.SECTOR
LARGEST: Final = 64 << 40

_HEADERS: Final = (64 << 10, 128 << 10)
_REGIONS: Final = (192 << 10, 256 << 10)
_LOG, _METADATA, _TABLE = MIB, 2 * MIB, 3 * MIB
"""Where the log, the metadata and the table of blocks begin; the first two are 1 MiB."""
_HEADER: Final = struct.Struct("<4sIQ16s16s16sHHIQ")
_REGION: Final = struct.Struct("<16sQII")
_ITEM: Final = struct.Struct("<16sIIII")
_ITEMS_AT: Final = 64 << 10
_TABLE_ID: Final = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA_ID: Final = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_IS_DISK, _REQUIRED = 2, 4
_STAYS_ALLOCATED: Final = 1
_ZERO, _PRESENT = 2, 6


def run(ctx: Context) -> None:
    """Make a stage's VHDX."""
    image.make(ctx, FORMAT)


def _write(disk: RawDisk, made: int, subformat: str, origin: Origin) -> None:
    """Write a disk as "dynamic" or "fixed"."""
    block = MIB if disk.size <= 1 << 40 else 32 * MIB  # a small one keeps free what the guest does not use
    count = -(-disk.size // block)
    every = (1 << 23) * SECTOR // block  # after so many entries stands one for a bitmap, which only a child has
    table = [0 if index % (every + 1) == every else _ZERO for index in range(count + (count - 1) // every)]
    room = -(-8 * len(table) // MIB) * MIB
    end = _TABLE + room
    if subformat == "fixed":
        for number in range(count):
            table[number + number // every] = end + number * block | _PRESENT
        disk.copy(made, end)
        end += count * block
    else:
        for number, at in disk.append(made, block, end):
            table[number + number // every] = at | _PRESENT
            end = at + block
    os.truncate(made, end)
    for data, at in _frame(disk.size, block, room, subformat, origin):
        sparse.write(made, data, at)
    sparse.write(made, struct.pack(f"<{len(table)}Q", *table), _TABLE)


FORMAT: Final = image.Format("VHDX", "at most 64 TiB", LARGEST, _write)


def _frame(size: int, block: int, room: int, subformat: str, origin: Origin) -> Iterator[tuple[bytes, int]]:
    """Yield all but blocks and their table, each with its place."""
    yield b"vhdxfile" + "bootsmith".encode("utf-16-le"), 0
    for number, at in enumerate(_HEADERS):
        fields = (origin.uuid("vhdx", "file").bytes_le, origin.uuid("vhdx", "data").bytes_le, bytes(16))
        yield _sealed(_HEADER.pack(b"head", 0, number, *fields, 0, 1, MIB, _LOG).ljust(4096, b"\0")), at
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0) + b"".join(
        _REGION.pack(each.bytes_le, start, length, 1)
        for each, start, length in ((_TABLE_ID, _TABLE, room), (_METADATA_ID, _METADATA, MIB))
    )
    sealed = _sealed(regions.ljust(64 << 10, b"\0"))
    for at in _REGIONS:
        yield sealed, at
    flags = _STAYS_ALLOCATED if subformat == "fixed" else 0
    items = (
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", block, flags), _REQUIRED),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", size), _IS_DISK | _REQUIRED),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", origin.uuid("vhdx").bytes_le, _IS_DISK | _REQUIRED),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", SECTOR), _IS_DISK | _REQUIRED),
        ("cda348c7-445d-4471-9cc9-e9885251c556", struct.pack("<I", SECTOR), _IS_DISK | _REQUIRED),
    )
    index, values = struct.pack("<8sHH20x", b"metadata", 0, len(items)), b""
    for name, value, how in items:
        index += _ITEM.pack(UUID(name).bytes_le, _ITEMS_AT + len(values), len(value), how, 0)
        values += value
    yield index, _METADATA
    yield values, _METADATA + _ITEMS_AT


def _sealed(structure: bytes) -> bytes:
    """Return a structure with its checksum, which stands after four letters."""
    return structure[:4] + struct.pack("<I", crc32c(structure)) + structure[8:]


def crc32c(data: bytes) -> int:
    """Return the CRC of Castagnoli's polynomial."""
    table = _crc_table()
    found = 0xFFFF_FFFF
    for byte in data:
        found = found >> 8 ^ table[(found ^ byte) & 0xFF]
    return found ^ 0xFFFF_FFFF


@cache
def _crc_table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F6_3B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)
