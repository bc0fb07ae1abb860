"""The data of a tar's files by its place in the file: which blocks hold any, and what they hold; holes are zeros."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from bootsmith.tasks.tree.tar import Entry


def blocks(entry: Entry, size: int) -> list[tuple[int, int]]:
    """Return which blocks of so many bytes hold data of a file: the first of each row of them, and how many."""
    found: list[tuple[int, int]] = []
    for start, length in ((0, entry.size),) if entry.stretches is None else entry.stretches:
        first, end = start // size, -(-(start + length) // size)
        if found and first <= sum(found[-1]):
            found[-1] = found[-1][0], end - found[-1][0]
        elif length:
            found.append((first, end - first))
    return found


class Data:
    """The data of one file in an open tar."""

    def __init__(self, descriptor: int, entry: Entry) -> None:
        self._descriptor = descriptor
        self._entry = entry
        self._stretches = entry.stretches or ()
        self._places = [entry.offset, *accumulate((length for _, length in self._stretches), initial=entry.offset)][1:]

    def readinto(self, view: memoryview, at: int) -> int:
        """Read from place `at` on; return how many bytes: fewer than asked where file or tar end."""
        view = view[: max(0, self._entry.size - at)]
        if self._entry.stretches is None:
            return os.preadv(self._descriptor, [view], self._entry.offset + at) if view else 0
        view[:] = bytes(len(view))
        for begin, end, place in self._within(at, at + len(view)):
            got = os.preadv(self._descriptor, [view[begin - at : end - at]], place)
            if got < end - begin:
                return begin - at + got
        return len(view)

    def read(self, at: int, length: int) -> bytes:
        """Return bytes from place `at` on, fewer where file or tar end."""
        found = bytearray(length)
        with memoryview(found) as view:
            got = self.readinto(view, at)
        return bytes(found) if got == length else bytes(found[:got])

    def _within(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the parts of stretches that lie between two places, and where each stands in the tar."""
        first = bisect_right(self._stretches, start, key=lambda each: each[0])
        for index in range(max(0, first - 1), len(self._stretches)):
            begin, length = self._stretches[index]
            if begin >= end:
                return
            low, high = max(begin, start), min(begin + length, end)
            if low < high:
                yield low, high, self._places[index] + low - begin
