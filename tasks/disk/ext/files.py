"""The files in an ext2, ext3 or ext4 filesystem, read out of a plain file: no mount, no root, and no trust.

Every number in it may be a lie. What leads nowhere, round in circles or out of the tree is a StageError; what this
cannot read is refused by name, so that nothing is taken for empty that is not. Linux, Documentation/filesystems/ext4.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.ext import attributes, block_map
from bootsmith.tasks.disk.ext.inode import FAST_SYMLINK, FORMAT, read_names
from bootsmith.tasks.disk.node import WINDOW, Extent, Node
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.tar import LONGEST

MOST_LETTERS: Final = 512 << 20
"""Bytes of all paths together: a million files with long ones have half of it."""
LOST_FOUND: Final = b"lost+found"

_ROOT = 2
_SUPERBLOCK = 1024
_INCOMPATIBLE: Final = {
    0x1: "compression", 0x8: "a journal of its own", 0x10: "meta_bg", 0x100: "mmp", 0x400: "ea_inode",
    0x1000: "dirdata", 0x4000: "large_dir", 0x8000: "inline_data", 0x10000: "encrypt", 0x20000: "casefold",
}  # fmt: skip
_KNOWN = 0x2 | 0x4 | 0x40 | 0x80 | 0x200 | 0x2000  # filetype, recover, extent, 64bit, flex_bg, csum_seed
_BIGALLOC = 0x200  # of the features that only forbid to write
_UNREADABLE: Final = {0x4: "compressed", 0x800: "encrypted", 0x200000: "an attribute", 0x10000000: "inline"}
_EXTENTS = 0x80000
_EXTENT_MAGIC = 0xF30A
_DEEPEST = 5
_UNWRITTEN = 1 << 15  # an extent longer than this is reserved, and reads as zeros
_KINDS: Final = {bits: kind for kind, bits in FORMAT.items()}
_NS = 1_000_000_000
_SHARED: Final = 8
"""Files that each block may be of, on average: where it is not shared, one."""


class Files:
    """An open filesystem. Raises StageError where it is damaged, unclean, or holds what cannot be read."""

    def __init__(
        self, path: Path, *, fd: int | None = None, start: int = 0, size: int = 0, as_it_is: bool = False
    ) -> None:
        """Open the file at `path`; or take the `size` bytes from `start` of an open file, which `path` names then.

        `as_it_is` reads one that was not unmounted too, of which the journal may know better.
        """
        self.path = path
        self._given = fd is not None
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if fd is None else fd
        self._start = start
        self._length = size or os.fstat(self._fd).st_size - start
        self.unclean = False
        """Whether it was not unmounted."""
        try:
            self._read_superblock(self._pread(1024, _SUPERBLOCK), as_it_is=as_it_is)
        except BaseException:
            self.close()
            raise
        self._nodes: dict[int, Node] = {}
        self._attributes: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, where it was opened here."""
        if not self._given:
            os.close(self._fd)

    def _pread(self, length: int, at: int) -> bytes:
        return os.pread(self._fd, max(0, min(length, self._length - at)), self._start + at)

    def _read_superblock(self, block: bytes, *, as_it_is: bool) -> None:
        if len(block) < 1024 or block[0x38:0x3A] != b"\x53\xef":
            self._damaged("it has no superblock")
        state = struct.unpack_from("<H", block, 0x3A)[0]
        incompatible, read_only = struct.unpack_from("<II", block, 0x60)
        self.unclean = bool(state != 1 or incompatible & 0x4 or struct.unpack_from("<I", block, 0xE8)[0])
        if self.unclean and not as_it_is:
            self._damaged("it was not unmounted")
        strange = incompatible & ~_KNOWN
        if strange or read_only & _BIGALLOC:
            names = [name for bit, name in _INCOMPATIBLE.items() if strange & bit]
            self._unreadable(f"it has the feature {', '.join(names) or ('bigalloc' if not strange else hex(strange))}")
        self._inodes, low = struct.unpack_from("<II", block, 0)
        wide = bool(incompatible & 0x80)
        self._blocks = low | (struct.unpack_from("<I", block, 0x150)[0] << 32 if wide else 0)
        self._group_size = struct.unpack_from("<H", block, 0xFE)[0] if wide else 32
        first, scale = struct.unpack_from("<II", block, 0x14)
        self._per_group = struct.unpack_from("<I", block, 0x28)[0]
        self._inode_size = struct.unpack_from("<H", block, 0x58)[0]
        if scale > 6 or not self._per_group or not 128 <= self._inode_size <= 4096 or self._group_size not in (32, 64):
            self._damaged("its superblock makes no sense")
        self._block = 1024 << scale
        self._groups = (first + 1) * self._block
        self._room = _SHARED * self._blocks  # blocks that files may have, together
        if self._length < self._blocks * self._block:
            self._damaged("it is cut short")

    def _damaged(self, what: str) -> NoReturn:
        hint = "`e2fsck -fn` tells more." if self._given else f"Look at it: e2fsck -fn {self.path}"
        raise StageError(f"the filesystem in {self.path} is damaged: {what}", hint)

    def _unreadable(self, what: str) -> NoReturn:
        raise StageError(f"the filesystem in {self.path} cannot be read here: {what}")

    # -- the tree

    @property
    def root(self) -> Node:
        """The directory that all others lie in."""
        found = self._node(_ROOT)
        if found.kind != "d":
            self._damaged("its root is no directory")
        return found

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        for name, number in self._names(path, node):
            yield name, self._node(number)

    def tree(self) -> dict[bytes, Node]:
        """Return every file by its path, b"" the root; all but lost+found, which no tree holds."""
        found = {b"": self.root}
        letters = 0
        folders = {_ROOT: b""}
        waiting = [b""]
        while waiting:
            above = waiting.pop()
            for name, number in self._names(above, found[above]):
                path = above + b"/" + name if above else name
                if path == LOST_FOUND:
                    continue
                letters += len(path)
                if len(path) > LONGEST or letters > MOST_LETTERS:
                    what = "longer paths than Linux takes" if len(path) > LONGEST else "more names than are read"
                    self._unreadable(f"it has {what}, such as /{shown(path)}")
                node = found[path] = self._node(number)
                if node.kind == "d":
                    if number in folders:
                        self._damaged(f"the directory /{shown(path)} has two names")
                    folders[number] = path
                    waiting.append(path)
        return found

    def has_strays(self) -> bool:
        """Tell whether lost+found holds anything."""
        numbers = dict(self._names(b"", self._node(_ROOT)))
        if LOST_FOUND not in numbers:
            return False
        node = self._node(numbers[LOST_FOUND])
        return node.kind != "d" or any(True for _ in self._names(LOST_FOUND, node))

    def _names(self, path: bytes, node: Node) -> Iterator[tuple[bytes, int]]:
        seen: set[bytes] = set()
        if node.size > self._blocks * self._block:
            self._damaged(f"the directory /{shown(path)} is larger than its disk")
        for at in range(0, node.size, self._block):
            try:
                names = list(read_names(self.read(node, at, self._block)))
            except (ValueError, struct.error):
                self._damaged(f"the directory /{shown(path)} makes no sense")
            for name, (number, _) in names:
                if not name or name in seen or b"/" in name or b"\0" in name:
                    self._damaged(f"the directory /{shown(path)} holds the name {name!r}")
                seen.add(name)
                yield name, number

    # -- inodes

    def _node(self, number: int) -> Node:
        known = self._nodes.get(number)
        if known is None:
            known = self._nodes[number] = self._read_node(number)
        return known

    def _inode(self, number: int) -> bytes:
        if not 1 <= number <= self._inodes:
            self._damaged(f"there is no inode {number}")
        group, index = divmod(number - 1, self._per_group)
        entry = self._pread(self._group_size, self._groups + group * self._group_size)
        if len(entry) < self._group_size:
            self._damaged(f"there is no group {group}")
        table = struct.unpack_from("<I", entry, 8)[0]
        if self._group_size == 64:
            table |= struct.unpack_from("<I", entry, 0x28)[0] << 32
        self._check_block(table, 1)
        raw = self._pread(self._inode_size, table * self._block + index * self._inode_size)
        if len(raw) < self._inode_size:
            self._damaged(f"inode {number} lies beyond its end")
        return raw

    def _read_node(self, number: int) -> Node:
        raw = self._inode(number)
        mode, uid, low = struct.unpack_from("<HHI", raw, 0)
        gid, links = struct.unpack_from("<HH", raw, 24)
        flags = struct.unpack_from("<I", raw, 32)[0]
        size = low | struct.unpack_from("<I", raw, 108)[0] << 32
        high_uid, high_gid = struct.unpack_from("<HH", raw, 120)
        kind = _KINDS.get(mode & 0xF000)
        if kind is None or not links or size >> 63:
            self._damaged(f"inode {number} makes no sense")
        strange = [word for bit, word in _UNREADABLE.items() if flags & bit]
        if strange and kind in "fdl":
            self._unreadable(f"inode {number} is {strange[0]}")
        target, device = b"", (0, 0)
        extents: tuple[Extent, ...] = ()
        if kind == "l":
            target, size = self._target(number, raw, size, flags), 0
        elif kind in "fd":
            extents = self._extents(number, raw, flags)
        elif kind in "cb":
            device, size = _device(*struct.unpack_from("<II", raw, 40)), 0
        else:
            size = 0
        return Node(
            number, kind, mode & 0o7777, uid | high_uid << 16, gid | high_gid << 16, size, _mtime(raw), target, device,
            self._read_attributes(number, raw), extents,
        )  # fmt: skip

    def _target(self, number: int, raw: bytes, size: int, flags: int) -> bytes:
        if size < FAST_SYMLINK:
            target = raw[40 : 40 + size]
        elif size < self._block:
            extents = self._extents(number, raw, flags)
            target = self.read(Node(number, "l", 0, 0, 0, size, 0, extents=extents), 0, size)
        else:
            target = b""
        if not target or b"\0" in target:
            self._damaged(f"the symlink that is inode {number} leads nowhere")
        return target

    def _read_attributes(self, number: int, raw: bytes) -> dict[str, bytes]:
        block = struct.unpack_from("<I", raw, 104)[0] | struct.unpack_from("<H", raw, 118)[0] << 32
        if block and block not in self._attributes:
            self._attributes[block] = self._read_block(block)
        try:
            return attributes.read(raw, self._attributes[block] if block else b"")
        except (ValueError, struct.error) as error:
            self._damaged(f"the attributes of inode {number}: {error}")

    # -- data

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file; fewer at its end, and zeros where it has a hole."""
        length = max(0, min(length, node.size - offset))
        out = bytearray(length)
        first = max(0, bisect_right(node.extents, offset // self._block, key=lambda each: each.logical) - 1)
        for extent in node.extents[first:]:
            start = extent.logical * self._block
            if start >= offset + length:
                break
            begin, end = max(start, offset), min(start + extent.length * self._block, offset + length)
            if begin < end:
                data = self._pread(end - begin, extent.physical * self._block + begin - start)
                out[begin - offset : begin - offset + len(data)] = data
        return bytes(out)

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that are not holes as a whole."""
        found: set[int] = set()
        for extent in node.extents:
            start = extent.logical * self._block
            end = min(start + extent.length * self._block, node.size)
            found.update(range(start // WINDOW, -(-end // WINDOW)))
        return found

    def _extents(self, number: int, raw: bytes, flags: int) -> tuple[Extent, ...]:
        if flags & _EXTENTS:
            found = tuple(self._walk_extents(number, raw[40:100], None, set()))
        else:
            try:
                found = tuple(map(self._counted, block_map.extents(raw[40:100], self._read_block, self._block)))
            except ValueError as error:
                self._damaged(f"the blocks of inode {number} {error}")
            for extent in found:
                self._check_block(extent.physical, extent.length)
        if any(one.logical + one.length > two.logical for one, two in pairwise(found)):
            self._damaged(f"the blocks of inode {number} overlap")
        return found

    def _walk_extents(self, number: int, raw: bytes, depth: int | None, seen: set[int]) -> Iterator[Extent]:
        magic, entries, _, level, _ = struct.unpack_from("<HHHHI", raw, 0)
        fits = entries * 12 + 12 <= len(raw)
        if magic != _EXTENT_MAGIC or level != (level if depth is None else depth) or level > _DEEPEST or not fits:
            self._damaged(f"the blocks of inode {number} make no sense")
        for at in range(12, 12 + entries * 12, 12):
            if level:
                _, low, high = struct.unpack_from("<IIH", raw, at)
                block = low | high << 32
                if block in seen:
                    self._damaged(f"the blocks of inode {number} lead round in circles")
                seen.add(block)
                yield from self._walk_extents(number, self._read_block(block), level - 1, seen)
                continue
            logical, length, high, low = struct.unpack_from("<IHHI", raw, at)
            if length <= _UNWRITTEN:
                self._check_block(low | high << 32, length)
                yield self._counted(Extent(logical, low | high << 32, length))

    def _counted(self, extent: Extent) -> Extent:
        """Return a stretch; files whose blocks are many times those of the disk are refused."""
        self._room -= extent.length
        if self._room < 0:
            self._damaged("its files have more blocks than it could hold")
        return extent

    def _read_block(self, block: int) -> bytes:
        self._check_block(block, 1)
        return self._pread(self._block, block * self._block).ljust(self._block, b"\0")

    def _check_block(self, block: int, count: int) -> None:
        if not block or block + count > self._blocks:
            self._damaged(f"there is no block {block + count - 1}")


def _mtime(raw: bytes) -> int:
    """Return when a file's content changed last: signed seconds, and where the inode has room two bits more."""
    seconds: int = struct.unpack_from("<i", raw, 16)[0]
    fraction = 0
    if len(raw) >= 140 and struct.unpack_from("<H", raw, 128)[0] >= 12:
        extra = struct.unpack_from("<I", raw, 136)[0]
        seconds += (extra & 3) << 32
        fraction = min(extra >> 2, _NS - 1)
    return seconds * _NS + fraction


def _device(old: int, new: int) -> tuple[int, int]:
    """Return a device's numbers, from the old form where it is not 0, else from the new one."""
    if old:
        return old >> 8 & 0xFF, old & 0xFF
    return new >> 8 & 0xFFF, (new & 0xFF) | new >> 12 & 0xFFF00
