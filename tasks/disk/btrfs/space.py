"""How much a tree takes as a btrfs, and where the filesystem's chunks are. Pure; sizes in bytes.

Everything but files' data is there twice, as mkfs.btrfs does it. No chunk lies where copies of the superblock are, and
what no chunk takes is left to the guest, whose kernel makes chunks of it as it needs them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from bootsmith.tasks.disk import content
from bootsmith.tasks.disk.btrfs import ondisk
from bootsmith.tasks.disk.btrfs.ondisk import DATA, DUP, METADATA, SECTOR, SYSTEM
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.sizing import MIB, STEP, round_up
from bootsmith.tasks.tree import member_data
from bootsmith.tasks.tree.tar import Entry

INLINE: Final = 2048
"""Bytes that a file may have whose data stand beside its inode."""
_SYSTEM: Final = 8 * MIB
_SPARE: Final = 16 * MIB
_LARGEST_CHUNK: Final = 1 << 30
LARGEST_EXTENT: Final = 128 * MIB
_ITEM: Final = ondisk.ITEM.size


class Chunk(NamedTuple):
    """A stretch of addresses, which begins as the first of its stripes does on the disk."""

    kind: int
    stripes: tuple[int, ...]
    length: int

    @property
    def start(self) -> int:
        return self.stripes[0]


class Need(NamedTuple):
    """Bytes of files' data, and of metadata at most."""

    data: int
    metadata: int


def extents(entry: Entry) -> list[tuple[int, int]]:
    """Return where a file holds data that are not inline, and how much, in whole sectors."""
    if entry.size <= INLINE:
        return []
    return [(first * SECTOR, count * SECTOR) for first, count in member_data.blocks(entry, SECTOR)]


def need(tree: Tree) -> Need:
    """Return what a tree takes, of metadata never less than it really does."""
    data = 0
    items = 8 * ondisk.NODE  # trees that are nearly empty
    for path, (_, entry) in tree.items():
        name = len(os.fsencode(path.rpartition("/")[2]))
        items += (
            2 * (_ITEM + ondisk.DIR_ENTRY.size + name) + _ITEM + 20 + name
        )  # two of the folder's, one of the file's
        if entry.type == "h":
            continue
        items += _ITEM + ondisk.INODE.size
        for key, value in entry.xattrs.items():
            size = _ITEM + ondisk.DIR_ENTRY.size + len(key) + len(value)
            items += 2 * size if size > INLINE else size  # as much may stay unused before a large one
        if entry.type == "l":
            items += 2 * (_ITEM + ondisk.INLINE.size + len(os.fsencode(entry.link)))
        elif entry.type == "f" and entry.size <= INLINE:
            items += _ITEM + ondisk.INLINE.size + entry.size
        elif entry.type == "f":
            for _, length in extents(entry):
                pieces = length // LARGEST_EXTENT + 2  # one more where a chunk ends
                items += pieces * (2 * _ITEM + 2 * ondisk.EXTENT.size + _ITEM) + length // SECTOR * 4
                data += length
    # A leaf is left when the next item does not fit, which is of 2,200 bytes at most; then the blocks above the leaves,
    # and an item for each block in the tree of extents.
    leaves = items // (ondisk.ROOM - 2200) + 1
    blocks = leaves + leaves // 100 + 8
    blocks += blocks * 64 // (ondisk.ROOM - 64) + 8
    return Need(data, blocks * ondisk.NODE)


def chunks(size: int, wanted: Need) -> list[Chunk] | None:
    """Return the chunks of a filesystem of that size: system, metadata and data; None where they do not all fit."""
    free = [list(each) for each in _usable(size)]
    found = []
    metadata = round_up(wanted.metadata * 5 // 4 + _SPARE, MIB)
    for kind, length in ((SYSTEM, _SYSTEM), (METADATA, metadata)):
        stripes = []
        for _ in range(2):
            region = next((each for each in free if each[1] - each[0] >= length), None)
            if region is None:
                return None
            stripes.append(region[0])
            region[0] += length
        found.append(Chunk(kind | DUP, tuple(stripes), length))
    left = round_up(wanted.data, MIB)
    for begin, end in free:
        while left and begin < end:
            length = min(left, end - begin, _LARGEST_CHUNK)
            found.append(Chunk(DATA, (begin,), length))
            begin += length  # noqa: PLW2901  what is left of the region
            left -= length
    return None if left else found


def _usable(size: int) -> Iterator[tuple[int, int]]:
    """Yield what lies between the places of superblocks, in whole MiB."""
    places = [0, *ondisk.SUPERBLOCKS[1:], round_up(size, MIB)]
    for at, following in pairwise(places):
        begin, end = at + MIB, min(following, size // MIB * MIB)
        if begin < end:
            yield begin, end


def divided(tree: Tree, subvolumes: Sequence[str]) -> dict[str, Tree]:
    """Return the files of each subvolume by where it stands: the top first, which is "" and has all others."""
    points = {"": "/"} | {path: f"/{path}" for path in sorted(subvolumes)}
    found = content.divide(tree, points, 0)
    for files in found.values():
        content.make_directories(files, [""], 0)
    return {path: found[path] for path in points}


class Demand:
    """What the content of a partition demands, of which some folders are subvolumes."""

    fs = "btrfs"

    def __init__(self, tree: Tree, subvolumes: Sequence[str] = ()) -> None:
        needs = [need(each) for each in divided(tree, subvolumes).values()] if subvolumes else [need(tree)]
        self.need = Need(sum(each.data for each in needs), sum(each.metadata for each in needs))

    def fits(self, size: int, extra: int = 0) -> bool:
        """Tell whether a filesystem of that size holds the content and leaves `extra` bytes free."""
        return chunks(size, self.need._replace(data=self.need.data + extra)) is not None

    def least(self, extra: int = 0) -> int:
        """Return the least size, in whole MiB, that holds the content and leaves `extra` bytes free."""
        size = round_up(self.need.data + extra, MIB)
        while not self.fits(size, extra):
            size += MIB
        return size

    def automatic(self, extra: int, allowance: int = 0) -> int:
        """Return the size for content * 1.1 + `extra`, the content being `allowance` more than the trees."""
        wanted = (self.need.data + allowance) * 11 // 10 - self.need.data + extra
        return round_up(self.least(wanted), STEP)
