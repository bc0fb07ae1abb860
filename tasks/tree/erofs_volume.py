"""An EROFS, read: its files with owners, modes, devices, attributes and holes.

The format: the kernel's Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.tree import erofs_clusters, volume_files
from bootsmith.tasks.tree.image_bytes import ImageBytes
from bootsmith.tasks.tree.lz4 import Unpack
from bootsmith.tasks.tree.tar import LONGEST, NO_XATTRS, Entry
from bootsmith.tasks.tree.volume_files import Damaged, Holes, VolumeFile

MAGIC: Final = b"\xe2\xe1\xf5\xe0"
_AT: Final = 1024
"""Where the superblock is, in bytes."""
_HEAD: Final = struct.Struct("<4sIIBBHQQIIII16s16sIHHHBB")
_COMPACT: Final = struct.Struct("<HHHHIIIIHHI")
_EXTENDED: Final = struct.Struct("<HHHHQIIIIQII16x")
_KNOWN: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x10
"""Features that are read: padding of LZ4, large clusters, chunks, second algorithms (or devices), tails in line."""
_UNREAD: Final = {0x20: "fragments or shared data (-Efragments, -Ededupe)", 0x40: "prefixes of attributes"}
_PLAIN, _PACKED_FULL, _INLINE, _PACKED, _CHUNKED = range(5)
_PREFIXES: Final = {
    1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.",
}  # fmt: skip
_HOLE: Final = 0xFFFFFFFF
_PIECE: Final = 1 << 20
_LONGEST_LIST: Final = 1 << 30


@contextmanager
def within() -> Iterator[None]:
    """Tell of places that an image does not have: it breaks off, or tells of more than can be. Raises Damaged."""
    try:
        yield
    except (struct.error, IndexError, OverflowError, ValueError) as error:
        raise Damaged("it breaks off, or leads out of itself") from error


class Inode(NamedTuple):
    """A file: its entry, where it is among all, and what of it is not for others."""

    entry: Entry
    number: int
    size: int
    names: int
    layout: int
    told: int
    """What stands where the address of its data would."""
    end: int
    """Where the inode ends, its attributes among it."""


class Erofs:
    """An image; `load_lz4` returns what unpacks that. Raises Damaged."""

    def __init__(self, view: ImageBytes, load_lz4: Callable[[], Unpack]) -> None:
        self._view = view
        with within():
            head = view.unpack(_HEAD, _AT)
        if head[0] != MAGIC:
            raise Damaged("it is no EROFS")
        self._bits, self._root, self._time = head[3], head[5], head[7]
        if not 9 <= self._bits <= 16:
            raise Damaged(f"its blocks have 2^{self._bits} bytes")
        self._block = 1 << self._bits
        self._inodes, self._shared = head[10] << self._bits, head[11] << self._bits
        features, devices, folder_bits = head[14], head[16], head[18]
        for bit, what in _UNREAD.items():
            if features & bit:
                raise Damaged(f"it has {what}, which are not read here; make it without")
        if features & ~_KNOWN or devices or folder_bits:
            raise Damaged("it is of a newer form, or on several devices; make it without")
        self._packed = erofs_clusters.Volume(view, self._bits, load_lz4, padded=bool(features & 1))

    def files(self) -> Iterator[VolumeFile]:
        """Yield each file, the top first. Raises Damaged."""
        with within():
            yield from self._below()

    def top(self) -> Inode:
        """Return the directory that all others lie in. Raises Damaged."""
        top = self.inode(self._root, "")
        if top.entry.type != "d":
            raise Damaged("its top is no directory")
        return top

    def _below(self) -> Iterator[VolumeFile]:
        top = self.top()
        yield VolumeFile(top.entry)
        waiting, seen, names = [top], {top.number}, dict[int, str]()
        count = 0
        while waiting:
            folder = waiting.pop()
            for number, name in self.listed(folder):
                count += 1
                if count > volume_files.MOST_FILES:
                    raise Damaged("it has more than ten million files")
                inode = self.inode(number, volume_files.child(folder.entry.path, name))
                entry = inode.entry
                if entry.type == "d":
                    if number in seen:
                        raise Damaged(f"/{shown(entry.path)} is in two places")
                    seen.add(number)
                    waiting.append(inode)
                elif number in names:
                    entry = Entry(entry.path, "h", mtime=entry.mtime, link=names[number])
                else:
                    names[number] = entry.path
                yield VolumeFile(entry, partial(self.data, inode) if entry.type == "f" else None)

    def listed(self, folder: Inode) -> Iterator[tuple[int, bytes]]:
        """Yield the inode's number of each name in a directory, of which each block has its own. Raises Damaged."""
        seen: set[bytes] = set()
        if folder.size > _LONGEST_LIST:
            raise Damaged(f"the list of /{shown(folder.entry.path)} is longer than those of ten million files")
        data = b"".join(self._data(folder))
        if len(data) != folder.size:
            raise Damaged(f"the list of /{shown(folder.entry.path)} breaks off")
        for start in range(0, len(data), self._block):
            block = data[start : start + self._block]
            (first,) = struct.unpack_from("<H", block, 8)
            if not 12 <= first <= len(block):
                raise Damaged(f"the list of /{shown(folder.entry.path)} has its names outside of it")
            rows = [struct.unpack_from("<QH", block, at) for at in range(0, first - 11, 12)]
            ends = [*(begin for _, begin in rows[1:]), len(block)]
            for (number, begin), end in zip(rows, ends, strict=True):
                name = block[begin:end].partition(b"\0")[0]
                if name in seen:
                    raise Damaged(f"/{shown(folder.entry.path)} holds a name twice")
                seen.add(name)
                if name not in (b".", b".."):
                    yield number, name

    def inode(self, number: int, path: str) -> Inode:
        """Return the file of that number, which has that path. Raises Damaged."""
        at = self._inodes + number * 32
        (form,) = self._view.unpack("<H", at)
        if form & 1:
            told = self._view.unpack(_EXTENDED, at)
            _, attributes, mode, _, size, where, _, uid, gid, mtime, _, names = told
            length = 64
        else:
            _, attributes, mode, names, size, _, where, _, uid, gid, _ = self._view.unpack(_COMPACT, at)
            mtime, length = self._time, 32
        letter = volume_files.TYPES.get(mode >> 12)
        if letter is None or form >> 4:
            raise Damaged(f"/{shown(path)} is of no kind")
        room = 12 + 4 * (attributes - 1) if attributes else 0
        inode = Inode(Entry(path, letter), number, size, names, form >> 1 & 7, where, at + length + room)
        entry = Entry(path, letter, mode & 0o7777, uid, gid, mtime=mtime, xattrs=self._xattrs(at + length, room))
        if letter == "f":
            entry = entry._replace(size=size, stretches=self._stretches(inode))
        elif letter == "l":
            if size > LONGEST:
                raise Damaged("a link leads nowhere")
            entry = entry._replace(mode=0o777, link=volume_files.link(b"".join(self._data(inode))))
        elif letter in "bc":
            major, minor = volume_files.device(where)
            entry = entry._replace(major=major, minor=minor)
        return inode._replace(entry=entry)

    def _xattrs(self, at: int, room: int) -> Mapping[str, bytes]:
        if not room:
            return NO_XATTRS
        found: dict[str, bytes] = {}
        shared, begin = self._view[at + 4 : at + 5][0], at + 12
        for place in self._view.unpack(f"<{shared}I", begin):
            self._attribute(self._shared + 4 * place, found)
        here = begin + 4 * shared
        while here + 4 <= at + room:
            here = self._attribute(here, found)
        return found

    def _attribute(self, at: int, found: dict[str, bytes]) -> int:
        """Read an attribute; return where the next would be."""
        length: int
        size: int
        length, kind, size = self._view.unpack("<BBH", at)
        name = self._view[at + 4 : at + 4 + length]
        value = self._view[at + 4 + length : at + 4 + length + size]
        if kind not in _PREFIXES or len(value) != size:
            raise Damaged("an attribute of it breaks off, or is of no kind")
        found[_PREFIXES[kind] + name.decode("utf-8", "surrogateescape")] = value
        return at + (4 + length + size + 3) // 4 * 4

    # -- data

    def _chunks(self, inode: Inode) -> Iterator[tuple[int | None, int]]:
        """Yield where each chunk of a file is, None for a hole, and its length."""
        size = self._block << (inode.told & 0x1F)
        indexed = bool(inode.told & 0x20)
        step = 8 if indexed else 4
        at = -(-inode.end // step) * step
        for start in range(0, inode.size, size):
            (block,) = self._view.unpack("<I", at + (4 if indexed else 0))
            if indexed and block != _HOLE and self._view.unpack("<H", at + 2)[0]:
                raise Damaged("it is on several devices")
            yield None if block == _HOLE else block << self._bits, min(size, inode.size - start)
            at += step

    def _stretches(self, inode: Inode) -> tuple[tuple[int, int], ...] | None:
        if inode.layout != _CHUNKED:
            return None
        holes = Holes(inode.size)
        for place, length in self._chunks(inode):
            (holes.hole if place is None else holes.data)(length)
        return holes.stretches()

    def data(self, inode: Inode) -> Iterator[bytes]:
        """Yield a file's data, without its holes. Raises Damaged."""
        with within():
            yield from self._data(inode)

    def _data(self, inode: Inode) -> Iterator[bytes]:
        match inode.layout:
            case _ if not inode.size:
                return
            case 0:
                yield from self._pieces(inode.told << self._bits, inode.size)
            case 2:
                tail = inode.size % self._block
                yield from self._pieces(inode.told << self._bits, inode.size - tail)
                if tail >> self._bits or inode.end % self._block + tail > self._block:
                    raise Damaged("its end is not there")
                yield from self._pieces(inode.end, tail)
            case 4:
                for place, length in self._chunks(inode):
                    if place is not None:
                        yield from self._pieces(place, length)
            case 1 | 3:
                yield from self._packed.unpacked(inode.end, inode.size, compact=inode.layout == _PACKED)
            case _:
                raise Damaged("its data is laid out in no known way")

    def _pieces(self, at: int, size: int) -> Iterator[bytes]:
        if size and at + size > len(self._view):
            raise Damaged("its data breaks off")
        for start in range(at, at + size, _PIECE):
            yield self._view[start : min(start + _PIECE, at + size)]
