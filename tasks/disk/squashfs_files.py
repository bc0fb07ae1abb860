"""The files in a squashfs, read out of a plain file: no mount, no root, and no trust.

Linux, fs/squashfs/squashfs_fs.h. Every number may be a lie: what leads nowhere or unpacks to more than there can be is
a StageError. A file is known by where its inode stands, which names of one file share.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.disk.packed_block import unpacker
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.tar import LONGEST

_SUPERBLOCK: Final = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
_MAGIC: Final = 0x73717368
_PACKINGS: Final = {1: "zlib", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_NONE: Final = 0xFFFFFFFF
_NOWHERE: Final = 0xFFFFFFFFFFFFFFFF
_METADATA: Final = 8192
_KEPT: Final = 256
"""Unpacked pieces of metadata that are remembered: 2 MiB, more than a folder's files are far apart."""
_LARGEST_FOLDER: Final = 64 << 20
_LARGEST_VALUE: Final = 64 << 10  # of an attribute, as Linux has them (XATTR_SIZE_MAX)
_LARGEST_NAMES: Final = 64 << 10  # of a file's attributes together (XATTR_LIST_MAX)
_MOST_ATTRIBUTES: Final = 256 << 20
"""Bytes of memory for all sets of attributes; a value that several share is there once."""
_BESIDE: Final = 128
"""Bytes of memory that an attribute takes beside its name and its value."""
_MOST_WORDS: Final = 64 << 20
"""Blocks of all files together: 8 TiB of the usual ones, and 256 MiB of memory."""
_KINDS: Final = {1: "d", 2: "f", 3: "l", 4: "b", 5: "c", 6: "p", 7: "s"}
_PREFIXES: Final = ("user.", "trusted.", "security.")
_NS: Final = 1_000_000_000


class _Data(NamedTuple):
    """Where a file's bytes are: the words of its blocks from `start`, its end in a shared block, `fragment`."""

    start: int
    words: array[int]
    fragment: int
    offset: int


class SquashfsFiles:
    """A squashfs: `size` bytes from `start` of an open file; `path` is what messages call it."""

    unclean = False

    def __init__(self, path: Path, fd: int, start: int, size: int) -> None:
        self.path = path
        self._fd, self._start, self._length = fd, start, size
        head = self._pread(0, _SUPERBLOCK.size)
        if len(head) < _SUPERBLOCK.size:
            self._damaged("it has no superblock")
        (
            magic, _, _, self._block, self._fragments, packing, log, _, ids, major, minor,
            self._root, self._used, id_table, xattr_table, self._inodes, self._folders, fragment_table, _,
        ) = _SUPERBLOCK.unpack(head)  # fmt: skip
        if magic != _MAGIC or not 12 <= log <= 20 or self._block != 1 << log:
            self._damaged("its superblock makes no sense")
        if (major, minor) != (4, 0):
            self._unreadable(f"it is of version {major}.{minor}, and 4.0 is read")
        if self._used > size:
            self._damaged("it is cut short")
        name = _PACKINGS.get(packing, f"a packing of number {packing}")
        unpack = unpacker(name)
        if unpack is None:
            self._unreadable(f"it is packed by {name}, and what zlib, xz, lzma or zstd packed is read")
        self._unpacked_by = unpack
        self._pieces: dict[int, tuple[bytes, int]] = {}
        self._blocks: dict[int, bytes] = {}
        self._data: dict[int, _Data] = {}
        self._nodes: dict[int, Node] = {}
        self._parts: dict[int, tuple[int, int]] = {}  # of a directory: its first piece, and where in it
        self._ids = [each[0] for each in struct.iter_unpack("<I", self._table(id_table, ids * 4))]
        self._sets: dict[int, dict[str, bytes]] = {}  # of attributes, by number
        self._values: dict[int, bytes] = {}  # of attributes that share them, by place
        self._attribute_bytes = 0
        self._words = 0
        self._places_of: tuple[int, list[int]] = (-1, [])  # of the file that is read
        self._fragment_table = fragment_table
        self._xattr_table = xattr_table

    def _pread(self, at: int, length: int) -> bytes:
        if not 0 <= at < self._length:  # a lie may be more than any file has
            return b""
        return os.pread(self._fd, min(length, self._length - at), self._start + at)

    def _damaged(self, what: str) -> NoReturn:
        raise StageError(f"the filesystem in {self.path} is damaged: {what}", "`unsquashfs -ll` tells more.")

    def _unreadable(self, what: str) -> NoReturn:
        raise StageError(f"the filesystem in {self.path} cannot be read here: {what}")

    # -- what is packed

    def _unpack(self, data: bytes, most: int) -> bytes:
        """Return what a block of bytes unpacks to, of which no more is made than so many."""
        try:
            return self._unpacked_by(data, most)
        except ValueError as error:
            self._damaged(f"a block of it cannot be unpacked ({error})")

    def _piece(self, at: int) -> tuple[bytes, int]:
        """Return the piece of metadata that stands at a place, unpacked, and where the next one does."""
        found = self._pieces.get(at)
        if found is None:
            head = self._pread(at, 2)
            if len(head) < 2:
                self._damaged("its metadata reach beyond its end")
            (word,) = struct.unpack("<H", head)
            size = word & 0x7FFF
            data = self._pread(at + 2, size)
            if len(data) < size or size > _METADATA:
                self._damaged("a piece of its metadata is cut short")
            found = (data if word & 0x8000 else self._unpack(data, _METADATA)), at + 2 + size
            if len(self._pieces) >= _KEPT:
                del self._pieces[next(iter(self._pieces))]
            self._pieces[at] = found
        return found

    def metadata(self, at: int, offset: int, length: int) -> tuple[bytes, int, int]:
        """Return bytes of the metadata that begin so far into the piece at a place, and where those behind them do."""
        found = bytearray()
        while len(found) < length:
            data, after = self._piece(at)
            if offset > len(data) or not data:
                self._damaged("its metadata lead nowhere")
            taken = data[offset : offset + length - len(found)]
            found += taken
            offset += len(taken)
            if offset == len(data):
                at, offset = after, 0
        return bytes(found), at, offset

    def _metadata(self, at: int, offset: int, length: int) -> bytes:
        return self.metadata(at, offset, length)[0]

    def _table(self, at: int, length: int) -> bytes:
        """Return a table, whose pieces' places stand in a row at a place."""
        count = -(-length // _METADATA)
        places = self._pread(at, count * 8)
        if len(places) < count * 8:
            self._damaged("a table of it is cut short")
        found = bytearray()
        for (place,) in struct.iter_unpack("<Q", places):
            found += self._metadata(place, 0, min(_METADATA, length - len(found)))
        return bytes(found)

    def _entry(self, table: int, number: int, size: int) -> bytes:
        """Return one entry of such a table, without the others."""
        piece, offset = divmod(number * size, _METADATA)
        place = self._pread(table + piece * 8, 8)
        if len(place) < 8:
            self._damaged("a table of it is cut short")
        return self._metadata(struct.unpack("<Q", place)[0], offset, size)

    # -- the tree

    @property
    def root(self) -> Node:
        """The directory that all others lie in."""
        node = self._node(self._root)
        if node.kind != "d":
            self._damaged("its root is no directory")
        return node

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        if node.size <= 3:  # those of "." and "..", which are not there
            return
        start, offset = self._parts[node.inode]
        data = self._metadata(self._folders + start, offset, node.size - 3)
        at = 0
        before = b""
        while at < len(data):
            count, piece, _ = self._fields("<III", data, at)
            at += 12
            for _ in range(count + 1):
                inside, _, kind, length = self._fields("<HhHH", data, at)
                name = data[at + 8 : at + 9 + length]
                at += 9 + length
                if len(name) <= length or name in (b".", b"..") or b"/" in name or b"\0" in name or name <= before:
                    self._damaged(f"the directory /{shown(path)} holds the name {name!r}")
                before = name
                child = self._node(piece << 16 | inside)
                if child.kind != _KINDS.get(kind):
                    self._damaged(f"/{shown(path)} says wrongly what {shown(name)} is")
                yield name, child

    def _fields(self, form: str, data: bytes, at: int) -> tuple[int, ...]:
        if at + struct.calcsize(form) > len(data):
            self._damaged("a directory is cut short")
        return struct.unpack_from(form, data, at)

    def _node(self, place: int) -> Node:
        """Return the file whose inode stands at a place: a piece of metadata, and how far into it."""
        if place not in self._nodes:
            self._nodes[place] = self._read_node(place)
        return self._nodes[place]

    def _target(self, at: _Cursor, length: int) -> bytes:
        if length > LONGEST:
            self._damaged("a link names more than a path can be")
        target = at.bytes(length)
        if not target or b"\0" in target:
            self._damaged("a link leads nowhere")
        return target

    def _read_node(self, place: int) -> Node:
        at = _Cursor(self, self._inodes + (place >> 16), place & 0xFFFF)
        number, mode, uid, gid, mtime, _ = at.take("<HHHHII")
        kind = _KINDS.get(number - 7 if number > 7 else number, "")
        long = number > 7
        size, target, device, xattr = 0, b"", (0, 0), _NONE
        match kind:
            case "d" if long:
                _, size, start, _, _, offset, xattr = at.take("<IIIIHHI")
                self._parts[place] = start, offset
            case "d":
                start, _, size, offset, _ = at.take("<IIHHI")
                self._parts[place] = start, offset
            case "f":
                size, xattr = self._read_file(place, at, long=long)
            case "l":
                _, size = at.take("<II")
                target = self._target(at, size)
                xattr = at.take("<I")[0] if long else _NONE
            case "b" | "c":
                _, word = at.take("<II")
                device = (word >> 8 & 0xFFF, word & 0xFF | word >> 12 & 0xFFF00)
                xattr = at.take("<I")[0] if long else _NONE
            case "p" | "s":
                at.take("<I")
                xattr = at.take("<I")[0] if long else _NONE
            case _:
                self._damaged(f"a file is of a kind with the number {number}")
        if kind == "d" and size > _LARGEST_FOLDER:
            self._damaged("a directory is larger than any is")
        if max(uid, gid) >= len(self._ids):
            self._damaged("a file's owner is nobody")
        return Node(
            place, kind, mode & 0o7777, self._ids[uid], self._ids[gid], size, mtime * _NS, target, device,
            {} if xattr == _NONE else self._attributes(xattr),
        )  # fmt: skip

    def _read_file(self, place: int, at: _Cursor, *, long: bool) -> tuple[int, int]:
        """Remember where a file's bytes are; return its size and its attributes' number."""
        if long:
            start, size, _, _, fragment, offset, xattr = at.take("<QQQIIII")
        else:
            start, fragment, offset, size = at.take("<IIII")
            xattr = _NONE
        count = size // self._block if fragment != _NONE else -(-size // self._block)
        self._words += count
        if self._words > _MOST_WORDS:
            self._damaged("its files are larger than any are")
        words = array("I", at.bytes(count * 4))
        if sys.byteorder == "big":
            words.byteswap()
        self._data[place] = _Data(start, words, fragment, offset)
        return size, xattr

    def _attributes(self, number: int) -> dict[str, bytes]:
        if number not in self._sets:
            self._sets[number] = self._read_attributes(number)
        return self._sets[number]

    def _read_attributes(self, number: int) -> dict[str, bytes]:
        if self._xattr_table == _NOWHERE:
            self._damaged("a file has attributes, and there is no table of them")
        head = self._pread(self._xattr_table, 16)
        if len(head) < 16:
            self._damaged("the table of its attributes is cut short")
        values, count, _ = struct.unpack("<QII", head)
        if number >= count:
            self._damaged("a file's attributes are nowhere")
        place, count, _ = struct.unpack("<QII", self._entry(self._xattr_table + 16, number, 16))
        at = _Cursor(self, values + (place >> 16), place & 0xFFFF)
        found: dict[str, bytes] = {}
        names = 0
        for _ in range(count):
            kind, length = at.take("<HH")
            if kind & 0xFF >= len(_PREFIXES):
                self._damaged("an attribute is of no kind")
            prefix = _PREFIXES[kind & 0xFF]
            names += len(prefix) + length + 1
            if names > _LARGEST_NAMES:
                self._damaged("a file has more attributes than any has")
            name = os.fsdecode(at.bytes(min(length, 255)))
            self._remember(length + _BESIDE)
            value = self._value(at)
            if kind & 0x100:  # it stands elsewhere, for all that have it
                if len(value) != 8:
                    self._damaged("an attribute is nowhere")
                (elsewhere,) = struct.unpack("<Q", value)
                if elsewhere not in self._values:
                    there = _Cursor(self, values + (elsewhere >> 16), elsewhere & 0xFFFF)
                    self._values[elsewhere] = self._value(there)
                value = self._values[elsewhere]
            found[prefix + name] = value
        return found

    def _value(self, at: _Cursor) -> bytes:
        """Return the value of an attribute that stands at a place."""
        (size,) = at.take("<I")
        if size > _LARGEST_VALUE:
            self._damaged("an attribute is longer than any is")
        self._remember(size)
        return at.bytes(size)

    def _remember(self, size: int) -> None:
        """Reckon with so many bytes of attributes more."""
        self._attribute_bytes += size
        if self._attribute_bytes > _MOST_ATTRIBUTES:
            self._damaged("its files have more attributes than any have")

    # -- data

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that are not holes as a whole."""
        data = self._data[node.inode]
        found = {number * self._block // WINDOW for number, word in enumerate(data.words) if word}
        return found | ({len(data.words) * self._block // WINDOW} if data.fragment != _NONE and node.size else set())

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file; fewer at its end, and zeros where it has a hole."""
        data = self._data[node.inode]
        end = min(offset + length, node.size)
        found = bytearray()
        places = self._places(node.inode, data)
        while offset < end:
            number, inside = divmod(offset, self._block)
            most = min(self._block, node.size - number * self._block)
            if number < len(data.words):
                block = self._block_at(places[number], data.words[number], most)
            else:
                block = self._tail(data, most)
            piece = block[inside : inside + end - offset]
            if not piece:
                self._damaged("a file is shorter than it says")
            found += piece
            offset += len(piece)
        return bytes(found)

    def _places(self, inode: int, data: _Data) -> list[int]:
        """Return where a file's blocks stand."""
        if self._places_of[0] != inode:
            sizes = (word & 0xFFFFFF for word in data.words)
            self._places_of = inode, list(accumulate(sizes, initial=data.start))
        return self._places_of[1]

    def _block_at(self, at: int, word: int, most: int) -> bytes:
        """Return a block, unpacked: its word is its size, or 0 for a hole."""
        if not word:
            return bytes(most)
        if at not in self._blocks:
            size = word & 0xFFFFFF
            raw = self._pread(at, size)
            if len(raw) < size or size > self._block:
                self._damaged("a file's block lies outside of it")
            if len(self._blocks) >= max(2, WINDOW // self._block):
                del self._blocks[next(iter(self._blocks))]
            self._blocks[at] = raw if word & 0x1000000 else self._unpack(raw, self._block)
        return self._blocks[at]

    def _tail(self, data: _Data, most: int) -> bytes:
        """Return the end of a file, out of the block that it shares with others."""
        if data.fragment >= self._fragments:
            self._damaged("the end of a file is nowhere")
        at, word, _ = struct.unpack("<QII", self._entry(self._fragment_table, data.fragment, 16))
        return self._block_at(at, word, self._block)[data.offset : data.offset + most]


class _Cursor:
    """A place in the metadata, from which is taken."""

    def __init__(self, files: SquashfsFiles, at: int, offset: int) -> None:
        self._files, self._at, self._offset = files, at, offset

    def take(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.bytes(struct.calcsize(form)))

    def bytes(self, length: int) -> bytes:
        found, self._at, self._offset = self._files.metadata(self._at, self._offset, length)
        return found
