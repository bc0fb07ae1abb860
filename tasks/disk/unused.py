"""What of a disk no partition and no filesystem uses: whatever stands there is read by nobody. FAT and ext tell.

Of any other partition, and of all that a table or a filesystem keeps for itself, nothing is taken to be unused: zeros
there, as in a table of free clusters, say something. A superblock alone may be a former filesystem's: it is believed in
a partition that is of such a type, bears no other's sign, and begins as that filesystem does.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from bootsmith.tasks.disk import gpt, mbr, signatures, superblock
from bootsmith.tasks.disk.superblock import Read

Stretch: TypeAlias = tuple[int, int]
"""Where something begins, and where it ends, in bytes."""
FreeBlocks: TypeAlias = Callable[[int], Iterable[str]]
"""What dumpe2fs prints of the filesystem that begins there, line by line."""

_HOLDING = {
    "ext": (
        "0fc63daf-8483-4772-8e79-3d69d8477de4",  # Linux data; then those of the Discoverable Partitions Specification
        "44479540-f297-41b2-9af7-d131d5f0458a",
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
        "b921b045-1df0-41c3-af44-4c6f280d3fae",
        "933ac7e1-2eb4-4f13-b844-0e14e2aef915",
        "3b8f8425-20e0-453b-907f-1a25a76f98e8",
        "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
        "7ec6f557-3bc5-4aca-b293-16ef5df639d1",
        "773f91ef-66d4-49b5-bd83-d683bf40ad16",
        "bc13c2ff-59e6-4262-a352-b275fd6f7172",
        *(0x83, 0xEA),
    ),
    "FAT": (
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",  # the ESP, Microsoft's basic data, an extended boot loader's
        "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
        "bc13c2ff-59e6-4262-a352-b275fd6f7172",
        *(0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEA, 0xEF),
    ),
}
"""The types of partitions that hold such a filesystem."""
_FAT12 = 4096 * 3 // 2
_PIECE = 1 << 20
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def stretches(read: Read, size: int, dumped: FreeBlocks) -> list[Stretch]:
    """Return the unused stretches of a disk of so many bytes, in order; none where partitions lie over each other."""
    found: list[Stretch] = []
    at, end = _usable(read, size)
    for start, stop, kind in sorted(_partitions(read, size), key=lambda each: each[:2]):
        if start < at:
            return []
        if start > at:
            found.append((at, min(start, size)))
        found += _inside(read, start, min(stop, size), kind, dumped)
        at = stop
    return [*found, (at, end)] if at < end else found


def _usable(read: Read, size: int) -> Stretch:
    """Return where partitions may be."""
    table = gpt.decode(read, size)
    if table:
        first, last = gpt.first_usable(table.sector), gpt.last_usable(size, table.sector)
        return first * table.sector, (last + 1) * table.sector
    return (mbr.SECTOR, size) if _is_mbr(read, size) else (0, 0)


def _is_mbr(read: Read, size: int) -> bool:
    return superblock.probe(read) is None and mbr.decode(read(0, mbr.SECTOR), size) is not None


def _partitions(read: Read, size: int) -> list[tuple[int, int, str | int]]:
    """Return where partitions are, and their types; of a disk without a table, the whole."""
    table = gpt.decode(read, size)
    if table:
        return [(slot.start, slot.start + slot.size, slot.type) for slot in table.slots]
    primaries = mbr.decode(read(0, mbr.SECTOR), size) if _is_mbr(read, size) else None
    if primaries:
        return [(slot.start, slot.start + slot.size, slot.type) for slot in primaries.slots.values()]
    return [(0, size, "")]


def _inside(read: Read, start: int, stop: int, kind: str | int, dumped: FreeBlocks) -> Iterator[Stretch]:
    def within(offset: int, length: int) -> bytes:
        return read(start + offset, min(length, stop - start - offset))

    found = _believed(within, stop - start, kind)
    if found is None:
        return
    inside = _ext(dumped(start)) if found.kind.startswith("ext") else _fat(within, found.kind)
    for first, end in inside:
        if end <= stop - start:
            yield start + first, start + end


def _believed(read: Read, size: int, kind: str | int) -> superblock.Filesystem | None:
    """Return the filesystem in a partition of so many bytes and of that type, where nothing speaks against it."""
    found = superblock.probe(read)
    if found is None or found.size > size:  # cut off, or what it says is nothing to go by
        return None
    is_ext = found.kind.startswith("ext")
    if kind and kind not in _HOLDING["ext" if is_ext else "FAT"]:
        return None
    if signatures.others(read, size, range(1024, 2048) if is_ext else range(0)) or (
        is_ext and superblock.fat_geometry(read)
    ):
        return None
    return found if is_ext or _begins_as_fat(read) else None


def _begins_as_fat(read: Read) -> bool:
    """Tell whether each of its tables begins with the byte that the first sector says, and ones behind it."""
    width, _, reserved, copies, _, _, media, fat16 = struct.unpack_from("<HBHBHHBH", read(0, 512), 11)
    (fat32,) = struct.unpack_from("<I", read(0, 512), 36)
    places = ((reserved + number * (fat16 or fat32)) * width for number in range(copies))
    return all(read(at, 3)[:1] == bytes((media,)) and read(at, 3)[1:] == b"\xff\xff" for at in places)


def _ext(lines: Iterable[str]) -> Iterator[Stretch]:
    """Yield the free blocks that dumpe2fs tells of, group by group: those of groups without a bitmap too."""
    block = 0
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "Block size":
            block = int(rest)
        elif name == "  Free blocks" and block:
            for first, last in _RANGE.findall(rest):
                yield int(first) * block, (int(last or first) + 1) * block


def _fat(read: Read, kind: str) -> Iterator[Stretch]:
    """Yield the clusters whose entry in the table is zero (Microsoft, FAT specification 1.03)."""
    boot = read(0, 512)
    width, per_cluster, reserved, copies, roots, small, _, fat16 = struct.unpack_from("<HBHBHHBH", boot, 11)
    total, fat32 = struct.unpack_from("<II", boot, 32)
    tables = (fat16 or fat32) * width
    first = reserved * width + copies * tables + -(-roots * 32 // width) * width
    cluster = per_cluster * width
    count = ((small or total) * width - first) // cluster
    begun = None
    number = -2  # of the cluster; the first two entries are no cluster's
    for entry in _entries(read, reserved * width, tables, kind):
        if number >= count:
            break
        if number >= 0 and entry == 0:
            begun = number if begun is None else begun
        elif begun is not None:
            yield first + begun * cluster, first + number * cluster
            begun = None
        number += 1
    if begun is not None:
        yield first + begun * cluster, first + number * cluster


def _entries(read: Read, start: int, length: int, kind: str) -> Iterator[int]:
    """Yield the entries of a FAT, piece by piece: a table may be a GiB."""
    if kind == "FAT12":
        table = read(start, min(length, _FAT12))
        for a, b, c in zip(table[::3], table[1::3], table[2::3], strict=False):
            yield a | (b & 0xF) << 8
            yield b >> 4 | c << 4
        return
    letter, mask = ("I", 0x0FFF_FFFF) if kind == "FAT32" else ("H", 0xFFFF)
    for at in range(start, start + length, _PIECE):
        piece = read(at, min(_PIECE, start + length - at))
        if not piece:
            return
        found = array(letter, piece[: len(piece) // 4 * 4])
        if sys.byteorder == "big":
            found.byteswap()
        yield from (entry & mask for entry in found)
