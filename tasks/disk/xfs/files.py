"""The files in an xfs (version 5), read out of a plain file: no mount, no root, and no trust.

Every number may be a lie: what leads nowhere or is in two places is a StageError. What its log has, which a crash
leaves, is not read.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.node import WINDOW, Extent, Node
from bootsmith.tasks.disk.xfs import attributes, forks
from bootsmith.tasks.disk.xfs.device import Device
from bootsmith.tasks.disk.xfs.forks import Inode
from bootsmith.tasks.tree.tar import LONGEST

_KINDS: Final = {0o4: "d", 0o10: "f", 0o12: "l", 0o2: "c", 0o6: "b", 0o1: "p", 0o14: "s"}
_TYPES: Final = {1: "f", 2: "d", 3: "c", 4: "b", 5: "p", 6: "s", 7: "l"}
_LEAVES: Final = 1 << 35
"""Where in a folder's data its names end, and what finds them begins."""
_HEADER: Final = 64
_UNUSED: Final = 0xFFFF
_LINK_HEADER: Final = 56
_LARGEST_FOLDER: Final = 1 << 30
_LARGEST: Final = 1 << 42
"""Bytes of data that a file is believed to have: 4 TiB."""


class XfsFiles:
    """An xfs: `size` bytes from `start` of an open file; `path` is what messages call it. Raises StageError."""

    unclean = False

    def __init__(self, path: Path, fd: int, start: int, size: int) -> None:
        self.path = path
        self._device = Device(path, fd, start, size)
        self._above: dict[int, int] = {self._device.root: -1}  # of each folder, the one that holds it

    @property
    def root(self) -> Node:
        """The directory that all others lie in."""
        node = self._node(b"", self._device.root)
        if node.kind != "d":
            self._device.damaged("its root is no directory")
        return node

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        inode = forks.inode(self._device, node.inode)
        seen: set[bytes] = set()
        try:
            listed = list(_short(inode.data) if inode.form == forks.LOCAL else self._listed(inode))
        except (struct.error, ValueError, IndexError):
            self._device.damaged(f"the list of /{shown(path)} makes no sense")
        for number, name, kind in listed:
            if name in (b".", b".."):
                continue
            below = path + b"/" + name if path else name
            if not name or b"/" in name or b"\0" in name or name in seen:
                self._device.damaged(f"the directory /{shown(path)} holds the name {name!r}")
            if len(below) > LONGEST:
                self._device.damaged(f"a path is longer than the {LONGEST} bytes that Linux takes")
            seen.add(name)
            child = self._node(below, number)
            if child.kind != _TYPES.get(kind):
                self._device.damaged(f"/{shown(path)} says wrongly what {shown(name)} is")
            if child.kind == "d" and self._above.setdefault(number, node.inode) != node.inode:
                self._device.damaged(f"/{shown(below)} is in two places")
            yield name, child

    def _listed(self, inode: Inode) -> Iterator[tuple[int, bytes, int]]:
        """Yield what a folder's blocks of names hold: inode, name, kind."""
        size = self._device.folder_block
        extents = [each for each in self._extents(inode) if each.logical * self._device.block < _LEAVES]
        if sum(each.length for each in extents) * self._device.block > _LARGEST_FOLDER:
            self._device.damaged("a directory is larger than any is")
        starts = {
            at // size * size
            for each in extents
            for at in range(each.logical * self._device.block, (each.logical + each.length) * self._device.block, size)
        }
        for start in sorted(starts):
            yield from _names(self._data(extents, start, size))

    def _node(self, path: bytes, number: int) -> Node:
        inode = forks.inode(self._device, number)
        kind = _KINDS.get(inode.mode >> 12, "")
        if not kind:
            self._device.damaged(f"/{shown(path)} is of no kind")
        target, device = b"", (0, 0)
        if kind == "l":
            target = self._target(path, inode)
            if len(target) < inode.size or b"\0" in target:
                self._device.damaged(f"the link /{shown(path)} is cut short, or leads nowhere")
        elif kind in "bc":
            (word,) = struct.unpack_from(">I", inode.data)
            device = word >> 18, word & 0x3FFFF
        extents = tuple(self._extents(inode)) if kind == "f" else ()
        self._device.totals.add_data(sum(each.length for each in extents) * self._device.block)
        return Node(
            number, kind, inode.mode & 0o7777, inode.uid, inode.gid, inode.size if kind in "fl" else 0, inode.mtime,
            target, device, attributes.of(self._device, inode), extents,
        )  # fmt: skip

    def _target(self, path: bytes, inode: Inode) -> bytes:
        if not 0 < inode.size <= LONGEST:
            self._device.damaged(f"the link /{shown(path)} leads nowhere")
        if inode.form == forks.LOCAL:
            return inode.data[: inode.size]
        found = bytearray()
        places = (each.physical + number for each in self._extents(inode) for number in range(each.length))
        for place in takewhile(lambda _: len(found) < inode.size, places):
            block = self._device.read(place, 0, self._device.block)
            if block[:4] != b"XSLM" or len(block) <= _LINK_HEADER:
                self._device.damaged(f"the link /{shown(path)} is something else")
            found.extend(block[_LINK_HEADER : _LINK_HEADER + inode.size - len(found)])
        return bytes(found)

    # -- data

    def _extents(self, inode: Inode) -> list[Extent]:
        found = forks.extents(self._device, inode.form, inode.data, inode.pieces)
        if sum(each.length for each in found) * self._device.block > _LARGEST:
            self._device.damaged("a file holds more than any does")
        for each in found:
            self._device.check(each.physical, each.length)
        return found

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that are not holes as a whole."""
        found: set[int] = set()
        for extent in node.extents:
            begin, end = extent.logical * self._device.block, (extent.logical + extent.length) * self._device.block
            if begin < min(end, node.size):
                found.update(range(begin // WINDOW, (min(end, node.size) - 1) // WINDOW + 1))
        return found

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file; fewer at its end, and zeros where it has a hole."""
        return self._data(node.extents, offset, max(0, min(length, node.size - offset)))

    def _data(self, extents: tuple[Extent, ...] | list[Extent], offset: int, length: int) -> bytes:
        found, end, block = bytearray(length), offset + length, self._device.block
        start = max(0, bisect_right(extents, offset // block, key=lambda each: each.logical) - 1)
        for extent in takewhile(lambda each: each.logical * block < end, extents[start:]):
            begin = extent.logical * block
            first, last = max(begin, offset), min(begin + extent.length * block, end)
            if first < last:
                number, inside = divmod(first - begin, block)
                data = self._device.read(extent.physical + number, inside, last - first)
                found[first - offset : last - offset] = data
        return bytes(found)


def _short(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield what a folder holds whose names are in its inode; numbers are long where one of them has to be."""
    count, long = data[0], data[1]
    form = ">Q" if long else ">I"
    at = 2 + struct.calcsize(form)
    for _ in range(count):
        length = data[at]
        name = data[at + 3 : at + 3 + length]
        kind = data[at + 3 + length]
        (number,) = struct.unpack_from(form, data, at + 4 + length)
        yield number, name, kind
        at += 4 + length + struct.calcsize(form)


def _names(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield what one block of names holds; one that is all of them ends with what finds them."""
    end = len(data)
    if data[:4] == b"XDB3":
        (count,) = struct.unpack_from(">I", data, end - 8)
        end -= 8 + count * 8
    elif data[:4] != b"XDD3":
        raise ValueError
    at = _HEADER
    while at < end:
        tag, size = struct.unpack_from(">HH", data, at)
        if tag != _UNUSED:
            number, length = struct.unpack_from(">QB", data, at)
            size = (12 + length + 7) // 8 * 8
            yield number, data[at + 9 : at + 9 + length], data[at + 9 + length]
        if not size:
            raise ValueError
        at += size
