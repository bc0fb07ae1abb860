"""A block map: which blocks of an image matter, and their checksums, so that whoever writes it leaves out the rest.

The file is as the Yocto project's bmaptool 2.0 has it. Blocks that no filesystem uses and that hold zeros are left out;
zeros that say something, as in a FAT, are not: an old disk's bytes would shine through.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.disk.unused import Stretch

BLOCK: Final = 4096
_WINDOW: Final = 1 << 20
_NO_SUM: Final = "0" * 64


def text(disk: int, size: int, unused: Iterable[Stretch]) -> str:
    """Return the map of an open raw disk of so many bytes, of which the stretches `unused` are nobody's."""
    count = -(-size // BLOCK)
    ranges = [*_ranges(_pieces(disk, size, unused))]
    mapped = sum(end - start for start, end, _ in ranges)
    lines = [f'        <Range chksum="{chksum}"> {_shown(start, end)} </Range>' for start, end, chksum in ranges]
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


def _ranges(pieces: Iterable[tuple[int, memoryview]]) -> Iterator[tuple[int, int, str]]:
    """Yield runs of blocks, what lies side by side as one, each with its SHA-256; of the last block what there is."""
    begun, reached, total = 0, 0, hashlib.sha256()
    for first, piece in pieces:
        if first > reached:
            if begun < reached:
                yield begun, reached, total.hexdigest()
            begun, total = first, hashlib.sha256()
        total.update(piece)
        reached = first - (-len(piece) // BLOCK)
    if begun < reached:
        yield begun, reached, total.hexdigest()


def _pieces(disk: int, size: int, unused: Iterable[Stretch]) -> Iterator[tuple[int, memoryview]]:
    """Yield what matters of a disk, in order and read once: the first block's number, and bytes good until the next."""
    buffer = memoryview(bytearray(_WINDOW))
    at = 0
    for start, end in [*_in_blocks(unused), (-(-size // BLOCK) * BLOCK,) * 2]:
        for place in range(at, start, _WINDOW):
            yield place // BLOCK, _read(disk, buffer[: start - place], place, size)
        at = max(at, start)
        for data, hole in sparse.extents(disk, at, end):
            stop = min(end, -(-hole // BLOCK) * BLOCK)
            for place in range(max(at, data // BLOCK * BLOCK), stop, _WINDOW):
                piece = _read(disk, buffer[: stop - place], place, size)
                yield from (
                    (place // BLOCK + first, piece[first * BLOCK : last * BLOCK]) for first, last in _filled(piece)
                )
            at = max(at, stop)
        at = max(at, end)


def _in_blocks(unused: Iterable[Stretch]) -> Iterator[Stretch]:
    """Yield the whole blocks of stretches, in bytes."""
    for start, end in sorted(unused):
        first, stop = -(-start // BLOCK) * BLOCK, end // BLOCK * BLOCK
        if first < stop:
            yield first, stop


def _read(disk: int, buffer: memoryview, at: int, size: int) -> memoryview:
    wanted = buffer[: size - at]
    if os.preadv(disk, [wanted], at) < len(wanted):
        raise EOFError("the disk became shorter while it was read")
    return wanted


def _filled(piece: memoryview) -> Iterator[Stretch]:
    """Yield the runs of blocks that are not all zeros, by their numbers in the piece."""
    zeros = bytes(BLOCK)
    count, begun = -(-len(piece) // BLOCK), -1
    for block in range(count):
        held = piece[block * BLOCK : (block + 1) * BLOCK]
        if held != zeros[: len(held)]:
            begun = block if begun < 0 else begun
        elif begun >= 0:
            yield begun, block
            begun = -1
    if begun >= 0:
        yield begun, count


def _shown(start: int, end: int) -> str:
    return str(start) if end == start + 1 else f"{start}-{end - 1}"
