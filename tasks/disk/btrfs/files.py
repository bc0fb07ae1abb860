"""The files in a btrfs, read out of a plain file: no mount, no root, and no trust.

Subvolumes are the folders that they stand as. Every number may be a lie: what leads nowhere, is in two places or
unpacks to more than there can be is a StageError. What the log has, which a crash leaves, is not read.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.btrfs import ondisk
from bootsmith.tasks.disk.btrfs.map import Map
from bootsmith.tasks.disk.btrfs.ondisk import FIRST, Key
from bootsmith.tasks.disk.btrfs.search import Trees
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.disk.packed_block import unpacker
from bootsmith.tasks.tree.tar import LONGEST

_ALL: Final = (1 << 64) - 1
_KINDS: Final = {number: letter for letter, number in ondisk.KINDS.items()}
_OF_MODE: Final = {mode >> 12: letter for letter, mode in ondisk.MODES.items()}
_PACKINGS: Final = {1: "zlib", 2: "lzo", 3: "zstd"}
_LARGEST_PACKED: Final = 128 << 10
"""Bytes that one extent unpacks to (BTRFS_MAX_UNCOMPRESSED)."""
_LARGEST: Final = 1 << 42
"""Bytes of data that a file is believed to have: 4 TiB."""
_NS: Final = 1_000_000_000
_TREE: Final = 64
"""Bits of an inode's number; above them is that of the tree it is in."""


class _Piece(NamedTuple):
    """A stretch of a file: where in it, how long, and where its bytes are: in line, or so far into an extent."""

    at: int
    length: int
    packing: int
    inline: bytes | None
    address: int
    stored: int
    unpacked: int
    offset: int


class BtrfsFiles:
    """A btrfs: `size` bytes from `start` of an open file; `path` is what messages call it. Raises StageError."""

    def __init__(self, path: Path, fd: int, start: int, size: int) -> None:
        self.path = path
        self._map = Map(path, fd, start, size)
        self._trees = Trees(self._map)
        self.unclean = self._map.log_root != 0
        for item in self._trees.items(
            (self._map.chunk_root, self._map.chunk_level), Key(0, ondisk.CHUNK_ITEM, 0), Key(_ALL, 255, _ALL)
        ):
            if item.key.type == ondisk.CHUNK_ITEM:
                self._map.add(item.key.offset, item.data)
        self._tops: dict[int, tuple[int, int]] = {}
        self._above: dict[int, int] = {}  # of each folder, the one that holds it
        self._pieces: tuple[int, list[_Piece]] = (-1, [])  # of the file that is read
        self._unpacked: tuple[tuple[int, int], bytes] = ((-1, -1), b"")

    # -- the tree

    @property
    def root(self) -> Node:
        """The top of the subvolume that is mounted where none is named."""
        top = ondisk.FS_TREE
        roots = (self._map.roots, self._map.root_level)
        low, high = Key(ondisk.ROOT_DIR, ondisk.DIR_ITEM, 0), Key(ondisk.ROOT_DIR, ondisk.DIR_ITEM, _ALL)
        for item in self._trees.items(roots, low, high):
            for location, _, name, _ in self._entries(b"", item.data):
                if name == b"default" and location.type == ondisk.ROOT_ITEM:
                    top = location.objectid
        number = top << _TREE | FIRST
        self._above.setdefault(number, -1)
        return self._node(b"", number)

    def _top(self, tree: int) -> tuple[int, int]:
        """Return where a tree's top block is, and of which level."""
        if tree not in self._tops:
            roots = (self._map.roots, self._map.root_level)
            low, high = Key(tree, ondisk.ROOT_ITEM, 0), Key(tree, ondisk.ROOT_ITEM, _ALL)
            item = next(self._trees.items(roots, low, high), None)
            if item is None or len(item.data) < 239:
                self._map.damaged("a subvolume is nowhere")
            (address,) = struct.unpack_from("<Q", item.data, 176)
            self._tops[tree] = address, item.data[238]
        return self._tops[tree]

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        tree, number = divmod(node.inode, 1 << _TREE)
        low, high = Key(number, ondisk.DIR_INDEX, 0), Key(number, ondisk.DIR_INDEX, _ALL)
        seen: set[bytes] = set()
        for item in self._trees.items(self._top(tree), low, high):
            for location, kind, name, _ in self._entries(path, item.data):
                below = path + b"/" + name if path else name
                if not name or name in (b".", b"..") or b"/" in name or b"\0" in name or name in seen:
                    self._map.damaged(f"the directory /{shown(path)} holds the name {name!r}")
                if len(below) > LONGEST:
                    self._map.damaged(f"a path is longer than the {LONGEST} bytes that Linux takes")
                seen.add(name)
                is_tree = location.type == ondisk.ROOT_ITEM
                inode = location.objectid << _TREE | FIRST if is_tree else tree << _TREE | location.objectid
                if is_tree and not self._holds(node.inode, location.objectid):
                    continue  # a snapshot has the name of what was below, and not that itself
                child = self._node(below, inode)
                if child.kind != _KINDS.get(kind):
                    self._map.damaged(f"/{shown(path)} says wrongly what {shown(name)} is")
                if child.kind == "d" and self._above.setdefault(inode, node.inode) != node.inode:
                    self._map.damaged(f"/{shown(below)} is in two places")
                yield name, child

    def _holds(self, folder: int, below: int) -> bool:
        """Tell whether a folder is the one where a subvolume stands."""
        tree, number = divmod(folder, 1 << _TREE)
        key = Key(tree, ondisk.ROOT_REF, below)
        item = next(self._trees.items((self._map.roots, self._map.root_level), key, key), None)
        return item is not None and item.data[:8] == struct.pack("<Q", number)

    def _entries(self, path: bytes, data: bytes) -> Iterator[tuple[Key, int, bytes, bytes]]:
        """Yield what an item says: where a name leads, its kind, the name, and the value of what is an attribute."""
        at, head = 0, ondisk.DIR_ENTRY.size
        while at < len(data):
            if at + head > len(data):
                self._map.damaged(f"an entry of /{shown(path)} is cut short")
            *key, _, size, length, kind = ondisk.DIR_ENTRY.unpack_from(data, at)
            end = at + head + length + size
            if end > len(data):
                self._map.damaged(f"an entry of /{shown(path)} is cut short")
            name = data[at + head : at + head + length]
            yield Key(*key), kind, name, data[at + head + length : end]
            at = end

    def _node(self, path: bytes, inode: int) -> Node:
        tree, number = divmod(inode, 1 << _TREE)
        low, high = Key(number, ondisk.INODE_ITEM, 0), Key(number, ondisk.XATTR_ITEM, _ALL)
        found: tuple[int, ...] = ()
        xattrs: dict[str, bytes] = {}
        for item in self._trees.items(self._top(tree), low, high):
            if item.key.type == ondisk.INODE_ITEM and len(item.data) == ondisk.INODE.size:
                found = ondisk.INODE.unpack(item.data)
            elif item.key.type == ondisk.XATTR_ITEM:
                for _, _, name, value in self._entries(path, item.data):
                    self._map.totals.add_attribute(name, value)
                    xattrs[os.fsdecode(name)] = value
        if not found:
            self._map.damaged(f"/{shown(path)} is nowhere")
        size, _, _, _, uid, gid, mode, device = found[2:10]
        kind = _OF_MODE.get(mode >> 12, "")
        if not kind:
            self._map.damaged(f"/{shown(path)} is of no kind")
        target = b""
        if kind == "l":
            if size > LONGEST:
                self._map.damaged(f"the link /{shown(path)} names more than a path can be")
            target = self._bytes(inode, size, 0, size)
            if not target or b"\0" in target:
                self._map.damaged(f"the link /{shown(path)} leads nowhere")
        mtime = found[16] * _NS + min(found[17], _NS - 1)
        return Node(
            inode, kind, mode & 0o7777, uid, gid, size if kind in "fl" else 0, mtime, target,
            (device >> 20 & 0xFFF, device & 0xFFFFF) if kind in "bc" else (0, 0), xattrs,
        )  # fmt: skip

    # -- data

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that are not holes as a whole."""
        found: set[int] = set()
        for piece in self._of(node.inode):
            end = min(piece.at + piece.length, node.size)
            if piece.at < end:
                found.update(range(piece.at // WINDOW, (end - 1) // WINDOW + 1))
        return found

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file; fewer at its end, and zeros where it has a hole."""
        return self._bytes(node.inode, node.size, offset, length)

    def _bytes(self, inode: int, size: int, offset: int, length: int) -> bytes:
        end = min(offset + length, size)
        if end <= offset:
            return b""
        found = bytearray(end - offset)
        pieces = self._of(inode)
        start = max(0, bisect_right(pieces, offset, key=lambda each: each.at) - 1)
        for piece in takewhile(lambda each: each.at < end, pieces[start:]):
            first, last = max(piece.at, offset), min(piece.at + piece.length, end)
            if first < last:
                data = self._data(piece, first - piece.at, last - first)
                found[first - offset : first - offset + len(data)] = data
        return bytes(found)

    def _data(self, piece: _Piece, at: int, length: int) -> bytes:
        at += piece.offset
        if not piece.packing:
            if piece.inline is not None:
                return piece.inline[at : at + length]
            return self._map.read(piece.address + at, length)
        own = (piece.address, piece.at)
        if self._unpacked[0] != own or piece.inline is not None:
            packed = piece.inline if piece.inline is not None else self._map.read(piece.address, piece.stored)
            self._unpacked = own, self._unpack(piece.packing, packed, piece.unpacked)
        data = self._unpacked[1][at : at + length]
        return data.ljust(length, b"\0")  # what lies behind its end was not packed

    def _unpack(self, packing: int, data: bytes, most: int) -> bytes:
        name = _PACKINGS.get(packing, f"a packing of number {packing}")
        unpack = unpacker(name)
        if unpack is None:
            self._map.unreadable(f"a file of it is packed by {name}, and what zlib or zstd packed is read")
        try:
            return unpack(data, most)
        except ValueError as error:
            self._map.damaged(f"an extent of it cannot be unpacked ({error})")

    def _of(self, inode: int) -> list[_Piece]:
        """Return where a file's bytes are, in order."""
        if self._pieces[0] != inode:
            tree, number = divmod(inode, 1 << _TREE)
            low, high = Key(number, ondisk.EXTENT_DATA, 0), Key(number, ondisk.EXTENT_DATA, _ALL)
            pieces = [self._piece(item.key.offset, item.data) for item in self._trees.items(self._top(tree), low, high)]
            found = [piece for piece in pieces if piece is not None]
            if any(one.at + one.length > other.at for one, other in pairwise(found)):
                self._map.damaged("a file has two extents at one place")
            if sum(piece.length for piece in found) > _LARGEST:
                self._map.damaged("a file holds more than any does")
            self._map.totals.add_data(sum(piece.length for piece in found))
            self._pieces = inode, found
        return self._pieces[1]

    def _piece(self, at: int, data: bytes) -> _Piece | None:
        """Return what an item says of a file's bytes; None where it says that there are none."""
        if len(data) < ondisk.INLINE.size:
            self._map.damaged("an extent is cut short")
        _, unpacked, packing, encryption, other, kind = ondisk.INLINE.unpack_from(data)
        if encryption or other:
            self._map.unreadable("a file of it is encrypted, or encoded in no known way")
        if packing and unpacked > _LARGEST_PACKED:
            self._map.damaged("an extent unpacks to more than any does")
        if kind == ondisk.INLINE_DATA:
            inline = data[ondisk.INLINE.size :]
            length = unpacked if packing else min(unpacked, len(inline))
            return _Piece(at, length, packing, inline, 0, 0, unpacked, 0)
        if len(data) < ondisk.EXTENT.size or kind not in (ondisk.REGULAR, ondisk.PREALLOCATED):
            self._map.damaged("an extent is of no kind")
        address, stored, offset, length = ondisk.EXTENT.unpack_from(data)[6:]
        if not address or kind == ondisk.PREALLOCATED:
            return None
        if offset + length > (unpacked if packing else stored) or (packing and stored > _LARGEST_PACKED):
            self._map.damaged("an extent is larger than what it stands in")
        self._map.place(address, stored)
        return _Piece(at, length, packing, None, address, stored, unpacked, offset)
