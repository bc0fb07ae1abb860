"""Where a file's blocks stand, as ext2 and ext3 map them: by twelve numbers, then by blocks of numbers.

Linux, Documentation/filesystems/ext4/blockmap.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from bootsmith.tasks.disk.node import Extent

_DIRECT = 12
_LEVELS = 3


def extents(pointers: bytes, read: Callable[[int], bytes], block_size: int) -> Iterator[Extent]:
    """Yield the stretches that an inode's fifteen pointers lead to, in order.

    `read` returns a block by its number, whole. Raises ValueError where a block of pointers is met twice.
    """
    start, physical, length = 0, 0, 0
    for logical, block in _blocks(pointers, read, block_size):
        if length and logical == start + length and block == physical + length:
            length += 1
            continue
        if length:
            yield Extent(start, physical, length)
        start, physical, length = logical, block, 1
    if length:
        yield Extent(start, physical, length)


def _blocks(pointers: bytes, read: Callable[[int], bytes], block_size: int) -> Iterator[tuple[int, int]]:
    """Yield each block that is no hole: its number in the file, and on the disk."""
    seen: set[int] = set()
    each = block_size // 4

    def below(block: int, level: int, first: int) -> Iterator[tuple[int, int]]:
        if not block:
            return
        if not level:
            yield first, block
            return
        if block in seen:
            raise ValueError("lead round in circles")
        seen.add(block)
        span = each ** (level - 1)
        for index, number in enumerate(struct.unpack(f"<{each}I", read(block))):
            if number:
                yield from below(number, level - 1, first + index * span)

    numbers = struct.unpack_from("<15I", pointers)
    for index in range(_DIRECT):
        yield from below(numbers[index], 0, index)
    first = _DIRECT
    for level in range(1, _LEVELS + 1):
        yield from below(numbers[_DIRECT + level - 1], level, first)
        first += each**level
