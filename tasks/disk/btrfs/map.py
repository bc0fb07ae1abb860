"""Where a btrfs has its addresses: chunks that say on which stretch of the device each stands."""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from pathlib import Path
from typing import Final, NoReturn

from bootsmith.tasks.disk.btrfs import ondisk
from bootsmith.tasks.disk.node_totals import Totals
from bootsmith.tasks.errors import StageError

_ARRAY: Final = 811
_ARRAY_ROOM: Final = 2048
_MOST_STRIPES: Final = 64
_STRIPED: Final = 0x8 | 0x40 | 0x80 | 0x100  # RAID0, RAID10, RAID5, RAID6


class Map:
    """The device of a btrfs, `size` bytes from `start` of an open file, by its addresses. Raises StageError."""

    def __init__(self, path: Path, fd: int, start: int, size: int) -> None:
        self.path = path
        self._fd, self._start, self._length = fd, start, size
        head = self.device(ondisk.SUPERBLOCKS[0], ondisk.SUPERBLOCK)
        if len(head) < ondisk.SUPERBLOCK or head[64:72] != ondisk.MAGIC:
            self.damaged("it has no superblock")
        self.roots, self.chunk_root, self.log_root = struct.unpack_from("<QQQ", head, 80)
        devices, self.sector, self.node = struct.unpack_from("<QII", head, 136)
        self.root_level, self.chunk_level = head[198], head[199]
        if devices != 1:
            self.unreadable(f"it is on {devices} devices")
        if self.node not in (4096, 8192, 16384, 32768, 65536) or self.sector not in (4096, 8192, 16384, 32768, 65536):
            self.damaged("its superblock makes no sense")
        self.totals = Totals(self.damaged)
        self._starts: list[int] = []
        self._chunks: list[tuple[int, int, int]] = []  # address, length, where on the device
        self._seed(head)

    def _seed(self, head: bytes) -> None:
        """Take the chunks that the superblock names, without which no other is found."""
        (size,) = struct.unpack_from("<I", head, 160)
        array, at = head[_ARRAY : _ARRAY + min(size, _ARRAY_ROOM)], 0
        while at < len(array):
            if at + ondisk.KEY.size + ondisk.CHUNK.size > len(array):
                self.damaged("its first chunks are cut short")
            _, kind, address = ondisk.KEY.unpack_from(array, at)
            at += ondisk.KEY.size
            stripes = ondisk.CHUNK.unpack_from(array, at)[7]
            end = at + ondisk.CHUNK.size + stripes * ondisk.STRIPE.size
            if kind != ondisk.CHUNK_ITEM or not 0 < stripes <= _MOST_STRIPES:
                self.damaged("its first chunks make no sense")
            self.add(address, array[at:end])
            at = end

    def add(self, address: int, item: bytes) -> None:
        """Take a chunk, unless it is known."""
        if len(item) < ondisk.CHUNK.size + ondisk.STRIPE.size:
            self.damaged("a chunk is cut short")
        length, _, _, kind, *_ = ondisk.CHUNK.unpack_from(item)
        _, at, _ = ondisk.STRIPE.unpack_from(item, ondisk.CHUNK.size)
        if kind & _STRIPED:
            self.unreadable("it is striped over several devices")
        index = bisect_right(self._starts, address)
        if index and self._starts[index - 1] == address:
            return
        self._starts.insert(index, address)
        self._chunks.insert(index, (address, length, at))

    def device(self, at: int, length: int) -> bytes:
        """Return bytes of the device, fewer at its end."""
        if not 0 <= at < self._length:
            return b""
        return os.pread(self._fd, min(length, self._length - at), self._start + at)

    def read(self, address: int, length: int) -> bytes:
        """Return the bytes of an address."""
        found = self.device(self.place(address, length), length)
        if len(found) != length:
            self.damaged("something of it is at no place of the device")
        return found

    def place(self, address: int, length: int) -> int:
        """Return where on the device so many bytes of an address are, all of them in one chunk."""
        index = bisect_right(self._starts, address) - 1
        begin, size, at = self._chunks[index] if index >= 0 else (0, 0, 0)
        found = at + address - begin
        if address + length > begin + size or found + length > self._length:
            self.damaged("something of it is at no place of the device")
        return found

    def damaged(self, what: str) -> NoReturn:
        """Raise StageError."""
        raise StageError(f"the filesystem in {self.path} is damaged: {what}", "`btrfs check` tells more.")

    def unreadable(self, what: str) -> NoReturn:
        """Raise StageError."""
        raise StageError(f"the filesystem in {self.path} cannot be read here: {what}")
