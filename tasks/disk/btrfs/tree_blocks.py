"""The trees of a btrfs, written leaf by leaf as their items come, in the order of their keys."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bootsmith.tasks.disk.btrfs import ondisk
from bootsmith.tasks.disk.btrfs.checksum import ONES, Crc32c
from bootsmith.tasks.disk.btrfs.ondisk import NODE, Item, Key
from bootsmith.tasks.disk.btrfs.space import Chunk

GENERATION = 1
_FLAGS = 1 | 1 << 56  # written; references of the second form
_MOST_POINTERS = ondisk.ROOM // ondisk.POINTER.size


class NoSpace(Exception):
    """A chunk is full."""


class Written(NamedTuple):
    """A tree: where its top block is, of which level, and all its blocks with theirs."""

    owner: int
    address: int
    level: int
    blocks: tuple[tuple[int, int], ...]


class Blocks:
    """The blocks of one chunk that is there twice, taken one behind the other."""

    def __init__(self, file: int, chunk: Chunk, fsid: bytes, chunk_tree: bytes, crc32c: Crc32c) -> None:
        self._file, self._chunk = file, chunk
        self._fsid, self._chunk_tree, self._crc32c = fsid, chunk_tree, crc32c
        self.used = 0

    @property
    def next(self) -> int:
        """The address of the block to come."""
        return self._chunk.start + self.used

    def write(self, owner: int, items: Iterable[Item]) -> Written:
        """Write a tree. Raises NoSpace."""
        below: list[tuple[Key, int]] = []
        blocks: list[tuple[int, int]] = []
        for leaf in leaves(items):
            below.append((leaf[0].key, self._write(owner, 0, len(leaf), _leaf(leaf))))
            blocks.append((below[-1][1], 0))
        if not below:
            blocks.append((self._write(owner, 0, 0, b""), 0))
        level = 0
        while len(below) > 1:
            level += 1
            above = []
            for first in range(0, len(below), _MOST_POINTERS):
                row = below[first : first + _MOST_POINTERS]
                data = b"".join(ondisk.POINTER.pack(*key, address, GENERATION) for key, address in row)
                above.append((row[0][0], self._write(owner, level, len(row), data)))
                blocks.append((above[-1][1], level))
            below = above
        return Written(owner, blocks[-1][0], level, tuple(blocks))

    def _write(self, owner: int, level: int, count: int, data: bytes) -> int:
        address = self.next
        if self.used + NODE > self._chunk.length:
            raise NoSpace
        header = ondisk.HEADER.pack(b"", self._fsid, address, _FLAGS, self._chunk_tree, GENERATION, owner, count, level)
        block = (header + data).ljust(NODE, b"\0")
        block = checked(block, self._crc32c)
        for stripe in self._chunk.stripes:
            os.pwrite(self._file, block, stripe + self.used)
        self.used += NODE
        return address


def checked(block: bytes, crc32c: Crc32c) -> bytes:
    """Return a block, or a superblock, with its checksum in front."""
    return struct.pack("<I", crc32c(ONES, block[32:]) ^ ONES).ljust(32, b"\0") + block[32:]


def leaves(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items that stand in a leaf together."""
    held: list[Item] = []
    room = ondisk.ROOM
    for item in items:
        size = ondisk.ITEM.size + len(item.data)
        if size > room:
            yield held
            held, room = [], ondisk.ROOM
        held.append(item)
        room -= size
    if held:
        yield held


def shape(items: Iterable[Item]) -> list[int]:
    """Return the levels of the blocks that a tree of these items takes, in the order in which they are written."""
    row = max(1, sum(1 for _ in leaves(items)))
    found = [0] * row
    level = 0
    while row > 1:
        row = -(-row // _MOST_POINTERS)
        level += 1
        found += [level] * row
    return found


def _leaf(items: list[Item]) -> bytes:
    end = ondisk.ROOM
    heads = []
    for item in items:
        end -= len(item.data)
        heads.append(ondisk.ITEM.pack(*item.key, end, len(item.data)))
    front = b"".join(heads)
    return front + bytes(end - len(front)) + b"".join(item.data for item in reversed(items))
