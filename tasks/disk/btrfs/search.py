"""A btrfs's trees, searched: blocks hold keys in order, and say of each block below with which key it begins.

That is looked at on the way, so that no lie can lead round in circles, or to the same block again and again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from bootsmith.tasks.disk.btrfs import ondisk
from bootsmith.tasks.disk.btrfs.map import Map
from bootsmith.tasks.disk.btrfs.ondisk import Item, Key

_HIGHEST: Final = 7
_KEPT: Final = 256
"""Blocks that are remembered: 4 MiB of the usual ones, more than a folder's files are far apart."""


class _Block(NamedTuple):
    keys: list[Key]
    below: list[int]
    """Of each key, where the block is that begins with it; in a leaf nothing."""
    data: bytes
    places: list[tuple[int, int]]
    """Of each key, where in `data` its item is, in a leaf."""


class Trees:
    """The trees of one filesystem."""

    def __init__(self, device: Map) -> None:
        self._map = device
        self._blocks: dict[tuple[int, int], _Block] = {}

    def items(self, root: tuple[int, int], low: Key, high: Key) -> Iterator[Item]:
        """Yield the items between two keys, these included, of a tree: where its top block is, and of which level."""
        address, level = root
        yield from self._between(address, level, None, low, high)

    def _between(self, address: int, level: int, first: Key | None, low: Key, high: Key) -> Iterator[Item]:
        block = self._block(address, level)
        if first is not None and block.keys[:1] != [first]:
            self._map.damaged("a block of a tree begins with another key than it should")
        if level == 0:
            for index in range(bisect_left(block.keys, low), bisect_right(block.keys, high)):
                begin, end = block.places[index]
                yield Item(block.keys[index], block.data[begin:end])
            return
        for index in range(max(0, bisect_right(block.keys, low) - 1), bisect_right(block.keys, high)):
            yield from self._between(block.below[index], level - 1, block.keys[index], low, high)

    def _block(self, address: int, level: int) -> _Block:
        found = self._blocks.get((address, level))
        if found is None:
            if len(self._blocks) >= _KEPT:
                del self._blocks[next(iter(self._blocks))]
            found = self._blocks[address, level] = self._read(address, level)
        return found

    def _read(self, address: int, level: int) -> _Block:
        data = self._map.read(address, self._map.node)
        head = ondisk.HEADER.unpack_from(data)
        own, count, its_level = head[2], head[7], head[8]
        form = ondisk.POINTER if level else ondisk.ITEM
        end = ondisk.HEADER.size + count * form.size
        if own != address or its_level != level or level > _HIGHEST or end > len(data):
            self._map.damaged("a block of a tree is something else")
        rows = [*form.iter_unpack(data[ondisk.HEADER.size : end])]
        keys = [Key(*row[:3]) for row in rows]
        if any(one >= other for one, other in pairwise(keys)):
            self._map.damaged("a block of a tree has its keys in no order")
        if level:
            return _Block(keys, [row[3] for row in rows], b"", [])
        places = [(ondisk.HEADER.size + row[3], ondisk.HEADER.size + row[3] + row[4]) for row in rows]
        if any(stop > len(data) for _, stop in places):
            self._map.damaged("an item of a tree lies outside of its block")
        if any(one[0] < other[1] for one, other in pairwise(places)):  # they stand from the end of the block on
            self._map.damaged("two items of a tree lie at one place")
        return _Block(keys, [], data, places)
