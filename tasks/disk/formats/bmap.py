"""A block map: which blocks of an image matter, and their checksums, so that whoever writes it leaves out the rest.

The file is as the Yocto project's bmaptool 2.0 has it. Blocks that no filesystem uses and that hold zeros are left out;
zeros that say something, as in a FAT, are not: an old disk's bytes would shine through.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Final

from bootsmith.tasks.disk.formats import blocks
from bootsmith.tasks.disk.unused import Stretch

BLOCK: Final = 4096
_WINDOW: Final = 1 << 20
_NO_SUM: Final = "0" * 64


def text(disk: int, size: int, unused: Iterable[Stretch]) -> str:
    """Return the map of an open raw disk of so many bytes, of which the stretches `unused` are nobody's."""
    count = -(-size // BLOCK)
    ranges = list(_merged([*_filled(disk, size), *_used(count, unused)]))
    mapped = sum(end - start for start, end in ranges)
    lines = [
        f'        <Range chksum="{_sum(disk, start, end)}"> {_shown(start, end)} </Range>' for start, end in ranges
    ]
    whole = f"""<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> {BLOCK} </BlockSize>
    <BlocksCount> {count} </BlocksCount>
    <MappedBlocksCount> {mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {_NO_SUM} </BmapFileChecksum>
    <BlockMap>
{chr(10).join(lines)}
    </BlockMap>
</bmap>
"""
    return whole.replace(_NO_SUM, hashlib.sha256(whole.encode()).hexdigest(), 1)


def _filled(disk: int, size: int) -> Iterator[Stretch]:
    """Yield the runs of blocks that are not all zeros, window by window."""
    zeros = bytes(BLOCK)
    for number, window in blocks.filled(disk, size, _WINDOW, lambda _: None):
        first, begun = number * _WINDOW // BLOCK, -1
        for at in range(0, _WINDOW, BLOCK):
            if window.startswith(zeros, at):
                if begun >= 0:
                    yield first + begun // BLOCK, first + at // BLOCK
                begun = -1
            elif begun < 0:
                begun = at
        if begun >= 0:
            yield first + begun // BLOCK, first + _WINDOW // BLOCK


def _used(count: int, unused: Iterable[Stretch]) -> Iterator[Stretch]:
    """Yield the runs of blocks that are not wholly unused."""
    at = 0
    for start, end in sorted(unused):
        first, stop = -(-start // BLOCK), end // BLOCK
        if first < stop:
            if at < first:
                yield at, first
            at = max(at, stop)
    if at < count:
        yield at, count


def _merged(runs: list[Stretch]) -> Iterator[Stretch]:
    begun, reached = -1, -1
    for start, end in sorted(runs):
        if start > reached:
            if begun >= 0:
                yield begun, reached
            begun = start
        reached = max(reached, end)
    if begun >= 0:
        yield begun, reached


def _sum(disk: int, start: int, end: int) -> str:
    """Return the SHA-256 of a run of blocks; of the last block what the disk has."""
    total, buffer = hashlib.sha256(), memoryview(bytearray(_WINDOW))
    for at in range(start * BLOCK, end * BLOCK, _WINDOW):
        total.update(buffer[: os.preadv(disk, [buffer[: end * BLOCK - at]], at)])
    return total.hexdigest()


def _shown(start: int, end: int) -> str:
    return str(start) if end == start + 1 else f"{start}-{end - 1}"
