"""What of a raw disk a format has to hold: the blocks that are not all zeros, told by content and never by holes.

Which holes a file has is no part of its fingerprint: an image that followed them would be another one for the same key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from bootsmith.cache.files import sparse

PIECE = 4096
"""Bytes of zeros that are worth a hole in what is written."""
Report: TypeAlias = Callable[[int], None]
"""Told, now and then, how many bytes of the disk are done."""


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


def copy(disk: int, size: int, target: int, at: int, report: Report) -> None:
    """Copy the whole disk to a place of a file that holds zeros there."""
    from bootsmith.tasks.disk import splice

    for start, end in sparse.extents(disk, 0, size):
        for part in range(start, end, _STRETCH):
            report(part)
            splice.copy(disk, part, target, at + part, min(_STRETCH, end - part))
    report(size)


_STRETCH = 64 << 20


def length(disk: Path) -> int:
    """Return a disk's size in bytes."""
    return disk.stat().st_size
