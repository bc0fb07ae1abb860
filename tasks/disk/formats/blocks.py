"""What of a raw disk a format has to hold: the blocks that are not all zeros, told by content and never by holes.

Which holes a file has is no part of its fingerprint: an image that followed them would be another one for the same key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeAlias

from bootsmith.cache.digest.index import CHUNK, Reckoning, index_of
from bootsmith.cache.files import sparse

PIECE = 4096
"""Bytes of zeros that are worth a hole in what is written."""
Report: TypeAlias = Callable[[int], None]
"""Told, now and then, how many bytes of the disk are done."""


class RawDisk:
    """A raw disk that is open to be read once, from its beginning to its end; what it held is known afterwards."""

    def __init__(self, file: int, size: int, report: Report) -> None:
        self.file = file
        self.size = size
        self._report = report
        self._reckoning = Reckoning(size)
        self._is_read = False

    @classmethod
    @contextmanager
    def opened(cls, path: Path, report: Report) -> Iterator[Self]:
        """Open one for as long as it is read."""
        with path.open("rb") as file:
            yield cls(file.fileno(), length(path), report)

    def content(self) -> str:
        """Return the fingerprint of what was read; of a disk that nobody read, it is read now. Raises OSError."""
        return (self._reckoning.index() if self._is_read else index_of(self.file)).digest

    def filled(self, size: int) -> Iterator[tuple[int, bytearray]]:
        """Yield number and content of each block of `size` bytes that is not all zeros, as `filled` does."""
        self._is_read = True
        parts, blank = max(1, CHUNK // size), bytes(size)
        for number, block in filled(self.file, self.size, parts * size, self._report):
            self._reckon(number * len(block), block)
            if parts == 1:
                yield number, block
                continue
            for part, at in enumerate(range(0, len(block), size)):
                if not block.startswith(blank, at):
                    yield number * parts + part, block[at : at + size]

    def _reckon(self, at: int, block: bytearray) -> None:
        held = memoryview(block)[: self.size - at]
        for start in range(0, len(held), CHUNK):
            self._reckoning.add(at + start, held[start : start + CHUNK])

    def append(self, target: int, size: int, at: int, before: bytes = b"") -> Iterator[tuple[int, int]]:
        """Write the filled blocks one behind the other from a place on, each after the bytes `before` it.

        Yields the number of each and where it begins, those bytes included. The target must hold zeros there already.
        """
        for number, block in self.filled(size):
            if before:
                sparse.write(target, before, at)
            write(target, block, at + len(before))
            yield number, at
            at += len(before) + size

    def copy(self, target: int, at: int) -> None:
        """Copy the whole disk to a place of a file that holds zeros there: by sharing its blocks where that is done."""
        if self.size and sparse.clone(self.file, 0, self.size, target, at):
            self._report(self.size)
            return
        for number, chunk in self.filled(CHUNK):
            start = number * CHUNK
            write(target, chunk if start + CHUNK <= self.size else chunk[: self.size - start], at + start)


def filled(disk: int, size: int, length: int, report: Report) -> Iterator[tuple[int, bytearray]]:
    """Yield number and content of each block of `length` bytes that is not all zeros; the last one is padded with them.

    The content is good until the next is asked for.
    """
    buffer, zeros = bytearray(length), bytes(length)
    following = 0
    for start, end in sparse.extents(disk, 0, size):
        for number in range(max(following, start // length), -(-end // length)):
            report(number * length)
            got = os.preadv(disk, [buffer], number * length)
            if got < min(length, size - number * length):
                raise EOFError("the disk became shorter while it was read")
            buffer[got:] = zeros[got:]
            if buffer != zeros:
                yield number, buffer
        following = -(-end // length)
    report(size)


def write(target: int, block: bytearray, at: int) -> None:
    """Write a block, its zeros as holes: the target must hold zeros there already."""
    zeros = bytes(PIECE)
    begun = None
    for start in range(0, len(block), PIECE):
        if not block.startswith(zeros[: len(block) - start], start):
            begun = start if begun is None else begun
        elif begun is not None:
            sparse.write(target, memoryview(block)[begun:start], at + begun)
            begun = None
    if begun is not None:
        sparse.write(target, memoryview(block)[begun:], at + begun)


def length(disk: Path) -> int:
    """Return a disk's size in bytes."""
    return disk.stat().st_size
