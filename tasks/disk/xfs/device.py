"""The device of an xfs: its superblock, and where blocks and inodes are. No trust in any of it.

Linux, fs/xfs/libxfs/xfs_format.h; numbers are big-endian.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final, NoReturn

from bootsmith.tasks.disk.node_totals import Totals
from bootsmith.tasks.errors import StageError

_HEAD: Final = 512
_VERSION: Final = 5
_KNOWN: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""Features that are read: kinds in folders, sparse inodes, another UUID, big times and counters, exchanges, parents."""
_NEEDS_REPAIR: Final = 0x10


class Device:
    """`size` bytes from `start` of an open file; `path` is what messages call it. Raises StageError."""

    def __init__(self, path: Path, fd: int, start: int, size: int) -> None:
        self.path = path
        self._fd, self._start, self._length = fd, start, size
        head = self._pread(0, _HEAD)
        if len(head) < _HEAD or head[:4] != b"XFSB":
            self.damaged("it has no superblock")
        (self.block,) = struct.unpack_from(">I", head, 4)
        (self.root,) = struct.unpack_from(">Q", head, 56)
        self._group, self._groups = struct.unpack_from(">II", head, 84)
        (version,) = struct.unpack_from(">H", head, 100)
        (self.inode_size,) = struct.unpack_from(">H", head, 104)
        block_bits, _, inode_bits, per_block_bits, group_bits = head[120:125]
        self.folder_block = self.block << min(head[192], 8)
        (features,) = struct.unpack_from(">I", head, 216)
        if version & 0xF != _VERSION:
            self.unreadable(f"it is of version {version & 0xF}, and 5 is read")
        if features & _NEEDS_REPAIR:
            self.damaged("it says that it needs repair")
        if features & ~_KNOWN:
            self.unreadable(f"it has features that are newer (0x{features & ~_KNOWN:x})")
        if (
            not 9 <= block_bits <= 16
            or self.block != 1 << block_bits
            or not 9 <= inode_bits <= 11
            or self.inode_size != 1 << inode_bits
            or per_block_bits != block_bits - inode_bits
            or self.folder_block > 64 << 10
            or not 0 < self._group <= 1 << group_bits <= 1 << 32
        ):
            self.damaged("its superblock makes no sense")
        self._block_bits, self._inode_bits = block_bits, inode_bits
        self._per_block_bits, self._group_bits = per_block_bits, group_bits
        self.totals = Totals(self.damaged)

    def _pread(self, at: int, length: int) -> bytes:
        if not 0 <= at < self._length:  # a lie may be more than any file has
            return b""
        return os.pread(self._fd, min(length, self._length - at), self._start + at)

    def _in_group(self, group: int, block: int) -> int:
        """Return where a group's block is."""
        if group >= self._groups or block >= self._group:
            self.damaged("something of it is in no group")
        found: int = group * self._group + block << self._block_bits
        return found

    def read(self, block: int, offset: int, length: int) -> bytes:
        """Return bytes that begin so far into a block, by its number in the filesystem."""
        group, inside = divmod(block, 1 << self._group_bits)
        found = self._pread(self._in_group(group, inside) + offset, length)
        if len(found) < length:
            self.damaged("it is cut short")
        return found

    def check(self, block: int, length: int) -> None:
        """Raise StageError where so many blocks from one on are not all in its group, and here."""
        group, inside = divmod(block, 1 << self._group_bits)
        end = self._in_group(group, inside) + length * self.block
        if inside + length > self._group or end > self._length:
            self.damaged("something of it is in no group, or cut short")

    def inode(self, number: int) -> bytes:
        """Return an inode."""
        group, inside = divmod(number, 1 << self._group_bits + self._per_block_bits)
        block, place = divmod(inside, 1 << self._per_block_bits)
        found = self._pread(self._in_group(group, block) + (place << self._inode_bits), self.inode_size)
        if len(found) < self.inode_size:
            self.damaged("it is cut short")
        return found

    def damaged(self, what: str) -> NoReturn:
        """Raise StageError."""
        raise StageError(f"the filesystem in {self.path} is damaged: {what}", "`xfs_repair -n` tells more.")

    def unreadable(self, what: str) -> NoReturn:
        """Raise StageError."""
        raise StageError(f"the filesystem in {self.path} cannot be read here: {what}")
