"""The attributes of a file of an xfs: in its inode, in leaves of their own, or each value in blocks of its own."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import Final

from bootsmith.tasks.disk.node import Extent
from bootsmith.tasks.disk.xfs import forks
from bootsmith.tasks.disk.xfs.device import Device
from bootsmith.tasks.disk.xfs.forks import Inode
from bootsmith.tasks.tree import acl

_LEAF: Final = 0x3BEE
_LEAF_HEADER: Final = 80
_HERE, _ROOT, _SECURE, _PARENT, _UNFINISHED = 0x1, 0x2, 0x4, 0x8, 0x80
_VALUE_HEADER: Final = 56
_LARGEST_VALUE: Final = 64 << 10  # as Linux has them (XATTR_SIZE_MAX)
_MOST_BLOCKS: Final = 4096
_LISTS: Final = {b"SGI_ACL_FILE": acl.ACCESS, b"SGI_ACL_DEFAULT": acl.DEFAULT}
_LIST_ROW: Final = struct.Struct(">IIH2x")


def of(device: Device, inode: Inode) -> dict[str, bytes]:
    """Return a file's attributes. Raises StageError."""
    if not inode.attributes:
        return {}
    if inode.attribute_form == forks.LOCAL:
        found = _in_inode(inode.attributes)
    else:
        extents = forks.extents(device, inode.attribute_form, inode.attributes, inode.attribute_pieces)
        found = _in_blocks(device, extents)
    named = {}
    try:
        for flags, name, value in found:
            device.totals.add_attribute(name, value)
            if not flags & (_PARENT | _UNFINISHED):
                told, data = _named(flags, name, value)
                named[told] = data
    except (struct.error, ValueError, IndexError):
        device.damaged("a file's attributes make no sense")
    return named


def _named(flags: int, name: bytes, value: bytes) -> tuple[str, bytes]:
    """Return what Linux calls an attribute, and its value there."""
    if flags & _ROOT and name in _LISTS:
        (count,) = struct.unpack_from(">I", value)
        rows = [_LIST_ROW.unpack_from(value, 4 + number * _LIST_ROW.size) for number in range(min(count, 1 << 12))]
        nobody = (1 << 32) - 1
        return _LISTS[name], acl.encode(
            [(tag, who if tag in (acl.USER, acl.NAMED_GROUP) else nobody, rights) for tag, who, rights in rows]
        )
    prefix = "trusted." if flags & _ROOT else "security." if flags & _SECURE else "user."
    return prefix + os.fsdecode(name), value


def _in_inode(fork: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    _, count = struct.unpack_from(">HB", fork)
    at = 4
    for _ in range(count):
        length, size, flags = struct.unpack_from(">BBB", fork, at)
        end = at + 3 + length + size
        if end > len(fork):
            raise ValueError
        yield flags, fork[at + 3 : at + 3 + length], fork[at + 3 + length : end]
        at = end


def _in_blocks(device: Device, extents: list[Extent]) -> Iterator[tuple[int, bytes, bytes]]:
    places: dict[int, int] = {}
    for extent in extents:
        if len(places) + extent.length > _MOST_BLOCKS:
            device.damaged("a file has more attributes than any has")
        places |= {extent.logical + number: extent.physical + number for number in range(extent.length)}

    def block(number: int) -> bytes:
        if number not in places:
            raise ValueError
        return device.read(places[number], 0, device.block)

    for number in sorted(places):
        data = block(number)
        if struct.unpack_from(">H", data, 8) == (_LEAF,):
            yield from _in_leaf(data, block, device.block)


def _in_leaf(data: bytes, block: Callable[[int], bytes], size: int) -> Iterator[tuple[int, bytes, bytes]]:
    (count,) = struct.unpack_from(">H", data, 56)
    for number in range(count):
        _, at, flags = struct.unpack_from(">IHB", data, _LEAF_HEADER + number * 8)
        if flags & _HERE:
            length, name_length = struct.unpack_from(">HB", data, at)
            begin = at + 3 + name_length
            if begin + length > len(data):
                raise ValueError
            yield flags, data[at + 3 : begin], data[begin : begin + length]
            continue
        first, length, name_length = struct.unpack_from(">IIB", data, at)
        name = data[at + 9 : at + 9 + name_length]
        if flags & _UNFINISHED:
            continue
        if length > _LARGEST_VALUE:
            raise ValueError
        value = b""
        while len(value) < length:
            value += block(first)[_VALUE_HEADER : min(size, _VALUE_HEADER + length - len(value))]
            first += 1
        yield flags, name, value
