"""A packed qcow2 laid out by ourselves, of clusters that qemu-img packed: those of before where the disk is as it was.

What qemu-img makes of a cluster follows from that cluster alone. Where it puts it follows from all before it, and from
its version; here it follows from the clusters' sizes: header, refcounts, tables, packed clusters one behind the other,
then those that could not be packed. So an image is the same whichever of its clusters were packed now
(interop/qcow2.txt in QEMU's docs).
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.cache.files import sparse
from bootsmith.tasks.disk import splice
from bootsmith.tasks.disk.packed_length import packed_length
from bootsmith.tasks.errors import StageError

_HEADER: Final = struct.Struct(">4sIQIIQIIQQII")
"""Magic, version, backing file, its length, cluster bits, the disk's size, encryption, the first table's words and
place, the refcounts' place and clusters, snapshots."""
_FIRST_TABLE_AT, _REFCOUNTS_AT = 40, 48
_LEAST, _MOST = 9, 21  # cluster bits
_SECTOR: Final = 512
_COPIED, _PACKED = 1 << 63, 1 << 62
_OFFSET: Final = 0x00FF_FFFF_FFFF_FE00
_ZERO: Final = 1
_MOST_SHARERS: Final = 0xFFFF
"""Packed clusters that one cluster of the file has parts of: as many as its refcount tells."""


class Cluster(NamedTuple):
    """Where a cluster of the disk stands in an open file; one as long as clusters are is not packed."""

    number: int
    file: int
    at: int
    size: int


class PackedImage:
    """A packed qcow2, open to be read: its first cluster, which has the header, and where the disk's clusters are.

    Raises StageError for what is none, or has what is never made here.
    """

    def __init__(self, path: Path, file: int) -> None:
        self.head = os.pread(file, 1 << _MOST, 0)
        if len(self.head) < _HEADER.size:
            raise _damaged(path)
        magic, _, backing, _, self.bits, self.size, crypt, words, table, _, _, _ = _HEADER.unpack_from(self.head)
        if magic != b"QFI\xfb" or backing or crypt or not _LEAST <= self.bits <= _MOST:
            raise _damaged(path)
        self.length = 1 << self.bits
        self.head = self.head[: self.length]
        self._path = path
        self._file = file
        self._end = os.fstat(file).st_size
        self._entries = [*self._found(words, table)]

    def _found(self, words: int, table: int) -> Iterator[tuple[int, int]]:
        """Yield number and entry of each cluster of the disk that the file holds."""
        per_table = self.length // 8
        for index, word in enumerate(self._words(table, words)):
            if offset := word & _OFFSET:
                entries = self._words(offset, per_table)
                yield from ((index * per_table + at, each) for at, each in enumerate(entries) if each & ~_ZERO)

    def _words(self, at: int, count: int) -> array[int]:
        data = os.pread(self._file, 8 * count, at)
        if len(data) < 8 * count:
            raise _damaged(self._path)
        return _swapped(array("Q", data))

    def clusters(self) -> Iterator[Cluster]:
        """Yield the clusters that the file holds, in the disk's order."""
        shift = 62 - (self.bits - 8)
        begins = [entry & ((1 << shift) - 1) if entry & _PACKED else 0 for _, entry in self._entries]
        for (number, entry), after in zip(self._entries, [*begins[1:], 0], strict=False):
            if not entry & _PACKED:
                yield Cluster(number, self._file, entry & _OFFSET, self.length)
                continue
            at = entry & ((1 << shift) - 1)
            bound = (at // _SECTOR + (entry & ~(_COPIED | _PACKED)) // (1 << shift) + 1) * _SECTOR
            # What follows begins where it ends, or else with a cluster of the file.
            size = after - at if at < after <= bound and after % self.length else self._measured(at, bound)
            yield Cluster(number, self._file, at, size)

    def _measured(self, at: int, bound: int) -> int:
        data = os.pread(self._file, min(bound, self._end) - at, at)
        found = packed_length(data)
        if found is None:
            raise _damaged(self._path)
        return found


def _damaged(path: Path) -> StageError:
    return StageError(f"{path} is no packed qcow2 as qemu-img makes them", "Remove it; it is made again.")


def _swapped(words: array[int]) -> array[int]:
    """Return numbers of a file as this machine has them, or the other way round."""
    if sys.byteorder == "little":
        words.byteswap()
    return words


def write(target: Path, form: PackedImage, clusters: Iterable[Cluster]) -> None:
    """Write a new qcow2 of clusters in the disk's order, its disk's size and its options those of `form`."""
    length, found = form.length, [*clusters]
    shift = 62 - (form.bits - 8)
    packed = [each for each in found if each.size != length]
    plain = [each for each in found if each.size == length]
    places, sharers = _placed(packed, length)
    data = len(sharers) + len(plain)
    _, _, _, _, _, _, _, words, _, _, _, _ = _HEADER.unpack_from(form.head)
    used = sorted({each.number // (length // 8) for each in found})
    table_clusters = -(-8 * words // length)
    blocks = refcounts = 1
    while True:
        total = 1 + refcounts + blocks + table_clusters + len(used) + data
        needed = -(-total // (length // 2))
        if needed == blocks and -(-8 * blocks // length) == refcounts:
            break
        blocks, refcounts = max(needed, blocks), -(-8 * max(needed, blocks) // length)
    first_table = 1 + refcounts + blocks
    tables = first_table + table_clusters
    begin = (tables + len(used)) * length

    first = array("Q", bytes(8 * words))
    entries = {index: array("Q", bytes(length)) for index in used}
    for number, index in enumerate(used):
        first[index] = _COPIED | (tables + number) * length
    moves = []
    for each, place in zip(packed, places, strict=True):
        at = begin + place
        more = (at + each.size - 1) // _SECTOR - at // _SECTOR
        entries[each.number // (length // 8)][each.number % (length // 8)] = _PACKED | more << shift | at
        moves.append((each.file, each.at, each.size, at))
    for number, each in enumerate(plain, len(sharers)):
        at = begin + number * length
        entries[each.number // (length // 8)][each.number % (length // 8)] = _COPIED | at
        moves.append((each.file, each.at, each.size, at))

    head = bytearray(form.head.ljust(length, b"\0"))
    struct.pack_into(">Q", head, _FIRST_TABLE_AT, first_table * length)
    struct.pack_into(">QI", head, _REFCOUNTS_AT, length, refcounts)
    counts = array("H", [1]) * (total - data) + sharers + array("H", [1]) * len(plain)
    if sys.byteorder == "little":
        counts.byteswap()
    refcount_blocks = array("Q", ((1 + refcounts + block) * length for block in range(blocks)))
    with target.open("xb") as made:
        out = made.fileno()
        os.truncate(out, total * length)
        sparse.write(out, head, 0)
        sparse.write(out, _swapped(refcount_blocks).tobytes(), length)
        sparse.write(out, counts.tobytes(), (1 + refcounts) * length)
        sparse.write(out, _swapped(first).tobytes(), first_table * length)
        for number, index in enumerate(used):
            sparse.write(out, _swapped(entries[index]).tobytes(), (tables + number) * length)
        for file, at, size, place in _joined(moves):
            splice.copy(file, at, out, place, size)


def _placed(packed: Sequence[Cluster], length: int) -> tuple[list[int], array[int]]:
    """Return where packed clusters go, from the first one on, and how many have a part of each cluster of the file."""
    places, sharers, end = [], array("H"), 0
    for each in packed:
        if end < len(sharers) * length and sharers[-1] == _MOST_SHARERS:
            end = len(sharers) * length
        places.append(end)
        first, end = end // length, end + each.size
        sharers.extend([0] * (-(-end // length) - len(sharers)))
        for cluster in range(first, len(sharers)):
            sharers[cluster] += 1
    return places, sharers


def _joined(moves: Iterable[tuple[int, int, int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (file, place, size, new place) of what is to be copied, what stays side by side as one."""
    before: tuple[int, int, int, int] | None = None
    for file, at, size, place in moves:
        if before and (file, at - before[1], place - before[3]) == (before[0], before[2], before[2]):
            before = file, before[1], before[2] + size, before[3]
            continue
        if before:
            yield before
        before = file, at, size, place
    if before:
        yield before
