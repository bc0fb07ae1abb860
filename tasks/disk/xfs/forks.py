"""What an xfs has of one file: its inode, and the two forks of it, data and attributes, as extents."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from bootsmith.tasks.disk.node import Extent
from bootsmith.tasks.disk.xfs.device import Device

DEVICE, LOCAL, EXTENTS, TREE = range(4)
_CORE: Final = 176
_ON_REALTIME: Final = 0x1
_BIG_TIME, _BIG_COUNTERS = 0x8, 0x10
_HIGHEST: Final = 8
_HEADER: Final = 72  # of a block of a tree of extents
_NS: Final = 1_000_000_000


class Inode(NamedTuple):
    """A file. `form` says how its `data` is: LOCAL, or `pieces` EXTENTS or a TREE of them; `attributes` are so too."""

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    form: int
    data: bytes
    pieces: int
    attribute_form: int
    attributes: bytes
    attribute_pieces: int


def inode(device: Device, number: int) -> Inode:
    """Return an inode. Raises StageError."""
    raw = device.inode(number)
    magic, mode, version, form = struct.unpack_from(">2sHBB", raw)
    uid, gid = struct.unpack_from(">II", raw, 8)
    (own,) = struct.unpack_from(">Q", raw, 152)
    if magic != b"IN" or version != 3 or own != number:
        device.damaged(f"there is no file of the number {number}")
    (size,) = struct.unpack_from(">Q", raw, 56)
    (flags2,) = struct.unpack_from(">Q", raw, 120)
    if struct.unpack_from(">H", raw, 90)[0] & _ON_REALTIME:
        device.unreadable("a file of it is on another device, for real time")
    if flags2 & _BIG_TIME:
        mtime = struct.unpack_from(">Q", raw, 40)[0] - (1 << 31) * _NS
    else:
        seconds, rest = struct.unpack_from(">iI", raw, 40)
        mtime = seconds * _NS + min(rest, _NS - 1)
    if flags2 & _BIG_COUNTERS:
        (count,), (attributes,) = struct.unpack_from(">Q", raw, 24), struct.unpack_from(">I", raw, 76)
    else:
        count, attributes = struct.unpack_from(">IH", raw, 76)
    split = raw[82] * 8
    if _CORE + split > len(raw):
        device.damaged("an inode's attributes are outside of it")
    data, rest = (raw[_CORE : _CORE + split], raw[_CORE + split :]) if split else (raw[_CORE:], b"")
    return Inode(number, mode, uid, gid, size, mtime, form, data, count, raw[83], rest, attributes)


def extents(device: Device, form: int, fork: bytes, count: int) -> list[Extent]:
    """Return a fork's extents, in order, but for those that nobody wrote. Raises StageError."""
    if form == EXTENTS:
        if count * 16 > len(fork):
            device.damaged("an inode has more extents than it has room for")
        found = list(_records(fork[: count * 16]))
    elif form == TREE:
        found = list(_below_root(device, fork))
    else:
        device.damaged("a file's data is in no known way")
    if any(one[0].logical + one[0].length > other[0].logical for one, other in pairwise(found)):
        device.damaged("a file has two extents at one place")
    return [extent for extent, is_written in found if is_written]


def _records(data: bytes) -> Iterator[tuple[Extent, bool]]:
    """Yield extents, and whether they were written: one bit, 54 of where, 52 of which block, 21 of how many."""
    for high, low in struct.iter_unpack(">QQ", data):
        bits = high << 64 | low
        extent = Extent(bits >> 73 & (1 << 54) - 1, bits >> 21 & (1 << 52) - 1, bits & (1 << 21) - 1)
        yield extent, not bits >> 127


def _below_root(device: Device, fork: bytes) -> Iterator[tuple[Extent, bool]]:
    if len(fork) < 4:
        device.damaged("a tree of extents is nowhere")
    level, count = struct.unpack_from(">HH", fork)
    room = (len(fork) - 4) // 16
    if not 0 < level <= _HIGHEST or not 0 < count <= room:
        device.damaged("a tree of extents makes no sense")
    keys = struct.unpack_from(f">{count}Q", fork, 4)
    blocks = struct.unpack_from(f">{count}Q", fork, 4 + room * 8)
    yield from _row(device, keys, blocks, level - 1)


def _row(device: Device, keys: tuple[int, ...], blocks: tuple[int, ...], level: int) -> Iterator[tuple[Extent, bool]]:
    if any(one >= other for one, other in pairwise(keys)):
        device.damaged("a tree of extents has its keys in no order")
    for key, block in zip(keys, blocks, strict=True):
        yield from _between(device, block, level, key)


def _between(device: Device, block: int, level: int, first: int) -> Iterator[tuple[Extent, bool]]:
    """Yield the extents below a block, which must begin at the place that is told of it: so none comes twice."""
    data = device.read(block, 0, device.block)
    magic, its_level, count = struct.unpack_from(">4sHH", data)
    room = (device.block - _HEADER) // 16
    if magic != b"BMA3" or its_level != level or not 0 < count <= room:
        device.damaged("a block of a tree of extents is something else")
    found: list[tuple[Extent, bool]] = []
    keys = struct.unpack_from(f">{count}Q", data, _HEADER)
    if not level:
        found = list(_records(data[_HEADER : _HEADER + count * 16]))
        keys = (found[0][0].logical,)
    if keys[0] != first:
        device.damaged("a block of a tree of extents begins elsewhere than it should")
    if level:
        yield from _row(device, keys, struct.unpack_from(f">{count}Q", data, _HEADER + room * 8), level - 1)
    yield from found
