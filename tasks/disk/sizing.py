"""How large a filesystem must be for its content, and how much fits into one. Pure; sizes in bytes.

The same content in coarse steps gives the same size: a small edit rarely moves a partition.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.tree import member_data

MIB = 1 << 20
STEP = 64 * MIB
PACKED_STEP = 16 * MIB
BLOCK = 4096
INODE = 256
BYTES_PER_INODE = 16384  # what mke2fs gives a filesystem of ordinary size
FAT_RESERVED = 32  # sectors that stand before the tables
FAT_SLACK = 64 << 10  # what mkfs.vfat may lose to rounding and alignment
MIN_FAT = {512: 33 * MIB, 4096: 257 * MIB}  # of smaller clusters than a sector there are none
RESERVED_PERCENT = 1  # blocks only root may use: enough to clean up with, little on a large disk


@dataclass(frozen=True, slots=True)
class ExtForm:
    """How an ext filesystem is made.

    `features` are added to the usual ones, or with ^ taken away; `inode_size` in bytes; `reserved` is the part that
    only root may fill, in per cent.
    """

    features: tuple[str, ...] = ()
    inode_size: int = INODE
    reserved: int = RESERVED_PERCENT

    def has(self, feature: str, *, usual: bool) -> bool:
        """Tell whether a feature is on, which is or is not by itself: the last word about it counts."""
        said = {feature: True, f"^{feature}": False, "none": False}
        return next((said[each] for each in reversed(self.features) if each in said), usual)


class Need(NamedTuple):
    """What a tree takes in a filesystem: bytes of blocks, and inodes where the filesystem counts them."""

    size: int
    inodes: int = 0


class Geometry(NamedTuple):
    """All of its place that a filesystem depends on; `inodes` and `journal` (bytes) only matter to ext.

    `start` in bytes only where the filesystem's own first sector is run, which has to know; else 0.
    """

    size: int
    inodes: int = 0
    journal: int = 0
    start: int = 0


def round_up(number: int, step: int) -> int:
    """Return the least multiple of `step` that is not below `number`."""
    return -(-number // step) * step


def human(size: int) -> str:
    """Return a size as a recipe writes it, rounded up to whole MiB."""
    mib = -(-size // MIB)
    return f"{mib >> 10}G" if mib and not mib % 1024 else f"{mib}M"


# -- ext2, ext3, ext4


def ext_need(tree: Tree, fs: str) -> Need:
    """Return what a tree takes in an ext filesystem, never less than it really does."""
    blocks = inodes = 0
    names = {path: 24 for path, (_, entry) in tree.items() if entry.type == "d"} | {"": 24}  # "." and ".."
    for path, (_, entry) in tree.items():
        if path:
            parent, _, name = path.rpartition("/")
            length = len(name) if name.isascii() else len(os.fsencode(name))
            names[parent] += 8 + (length + 3) // 4 * 4
        if entry.type != "h":
            inodes += 1
        if entry.type == "f":
            data, pieces = -(-entry.size // BLOCK), 1
            if entry.stretches is not None:
                holding = member_data.blocks(entry, BLOCK)
                data, pieces = sum(count for _, count in holding), len(holding)
            blocks += data
            if fs == "ext4":
                blocks += pieces // 170 + 2 if pieces > 4 else 0  # what maps them: 340 to a block, or half
            elif entry.size > 12 * BLOCK:
                blocks += data // 1024 + 2 + 3 * (pieces - 1)  # indirect blocks
        elif entry.type == "l" and len(os.fsencode(entry.link)) >= 60:
            blocks += 1
        if entry.xattrs:
            blocks += 1
    # an entry never crosses blocks: up to 263 bytes at the end of each, and 12 of checksum, stay unused
    blocks += sum(-(-size // (BLOCK - 12 - 264)) for size in names.values())
    return Need(blocks * BLOCK, inodes)


def ext_geometry(size: int, need: Need, fs: str, form: ExtForm | None = None) -> Geometry:
    """Return the inode count and journal of an ext filesystem of that size."""
    form = form or ExtForm()
    least = 4 * MIB if form.has("has_journal", usual=False) else 0  # what is asked for is not left out as too large
    journal = max(_journal(size), least) if form.has("has_journal", usual=fs != "ext2") else 0
    inodes = round_up(max(size // BYTES_PER_INODE, need.inodes * 5 // 4 + 64), 1024)
    return Geometry(size, inodes, journal)


def _journal(size: int) -> int:
    for limit, journal in ((16 * MIB, 0), (128 * MIB, 4), (1024 * MIB, 16), (4096 * MIB, 32), (16384 * MIB, 64)):
        if size < limit:
            return journal * MIB
    return 128 * MIB


def ext_capacity(geometry: Geometry, fs: str, form: ExtForm | None = None) -> int:
    """Return the bytes of blocks that content may take, the blocks kept for root not counted.

    Follows mke2fs: per group two bitmaps and an inode table; in groups 0, 1 and the powers of 3, 5 and 7 a superblock,
    the group descriptors, and room for as many as let the filesystem grow a thousandfold.
    """
    form = form or ExtForm()
    blocks = geometry.size // BLOCK
    groups = max(1, -(-blocks // (BLOCK * 8)))
    per_group = round_up(-(-geometry.inodes // groups), BLOCK // form.inode_size)
    per_block = BLOCK // (64 if fs == "ext4" else 32)
    descriptors = -(-groups // per_block)
    grown = -(-min(blocks * 1024, 0xFFFFFFFF) // (BLOCK * 8))
    spare = min(max(-(-grown // per_block) - descriptors, 0), BLOCK // 4)
    taken = groups * (2 + per_group * form.inode_size // BLOCK)
    copies = _backups(groups) if form.has("sparse_super", usual=True) else groups
    taken += copies * (1 + descriptors + spare) + 1  # the resize inode's own block
    taken += geometry.journal // BLOCK
    if fs != "ext4":
        taken += geometry.journal // BLOCK // 1024 + 2
    taken += 4 + 1  # lost+found, and what rounding may lose
    return max(0, blocks - taken - blocks * form.reserved // 100) * BLOCK


def _backups(groups: int) -> int:
    powers = {base**exponent for base in (3, 5, 7) for exponent in range(1, 40)}
    return sum(1 for group in {0, 1} | powers if group < groups)


# -- FAT


def fat_cluster(size: int, sector: int = 512) -> int:
    """Return the bytes per cluster of a FAT32 filesystem of that size.

    Fewer than 65525 clusters would make it a FAT16, whatever it calls itself (Microsoft's FAT specification 1.03, "FAT
    Type Determination"): so clusters are small on small disks.
    """
    for limit, cluster in ((260, 512), (8192, 4096), (16384, 8192)):
        if size < limit * MIB:
            return max(cluster, sector)
    return 16384


def fat_need(tree: Tree, cluster: int) -> Need:
    """Return what a tree takes in a FAT filesystem with clusters of so many bytes."""
    clusters = 0
    names = {path: 3 * 32 for path, (_, entry) in tree.items() if entry.type == "d"} | {"": 3 * 32}  # and the label
    for path, (_, entry) in tree.items():
        if path:
            names[entry.parent] += 32 * (2 + math.ceil(len(entry.name.encode("utf-16-le", "surrogatepass")) / 26))
        if entry.type != "d":
            file = tree[entry.link][1] if entry.type == "h" else entry
            clusters += -(-file.size // cluster)
    clusters += sum(-(-taken // cluster) for taken in names.values())
    return Need(clusters * cluster)


def fat_capacity(size: int, sector: int = 512) -> int:
    """Return the bytes of clusters that content may take, besides the root directory's first."""
    cluster = fat_cluster(size, sector)
    data = size - FAT_RESERVED * sector - FAT_SLACK
    clusters = data // (cluster + 8)  # each has an entry of four bytes in both tables
    return max(0, clusters - 1) * cluster


# -- packed ones


class Packed:
    """What a filesystem demands that is made already, and as large as what it holds: room for itself, and no more."""

    def __init__(self, size: int, step: int = PACKED_STEP) -> None:
        self.size = size
        self._step = step

    def fits(self, size: int, extra: int = 0) -> bool:
        """Tell whether a place of that size holds it; none of it ever stays free."""
        return size >= self.size + extra

    def least(self, extra: int = 0) -> int:
        """Return the least size that holds it."""
        return round_up(self.size + extra, MIB)

    def automatic(self) -> int:
        """Return the size in coarse steps, so that a small edit rarely moves what comes behind it."""
        return max(self._step, round_up(self.size, self._step))


# -- either


class Demand:
    """What the content of a partition demands: as much as the most demanding of its `trees`."""

    def __init__(self, trees: Sequence[Tree], fs: str, form: ExtForm | None = None, sector: int = 512) -> None:
        self.trees = trees
        self.fs = fs
        self._form = form
        self._sector = sector
        self._needs: dict[int, Need] = {}

    def need(self, size: int) -> Need:
        """Return what the content takes in a filesystem of that size."""
        unit = fat_cluster(size, self._sector) if self.fs == "vfat" else BLOCK
        if unit not in self._needs:
            needs = [fat_need(tree, unit) if self.fs == "vfat" else ext_need(tree, self.fs) for tree in self.trees]
            self._needs[unit] = Need(max(each.size for each in needs), max(each.inodes for each in needs))
        return self._needs[unit]

    def geometry(self, size: int) -> Geometry:
        """Return the geometry of a filesystem of that size for this content."""
        return Geometry(size) if self.fs == "vfat" else ext_geometry(size, self.need(size), self.fs, self._form)

    def room(self, size: int) -> int:
        """Return the bytes content may take in a filesystem of that size."""
        if self.fs == "vfat":
            return fat_capacity(size, self._sector)
        return ext_capacity(self.geometry(size), self.fs, self._form)

    def fits(self, size: int, extra: int = 0) -> bool:
        """Tell whether a filesystem of that size holds the content and leaves `extra` bytes free."""
        return self.room(size) >= self.need(size).size + extra

    def least(self, extra: int = 0) -> int:
        """Return the least size, in whole MiB, that holds the content and leaves `extra` bytes free."""
        size = MIN_FAT[self._sector] if self.fs == "vfat" else MIB
        while not self.fits(size, extra):
            size = max(size + MIB, round_up(self.need(size).size + extra, MIB))
        return size

    def automatic(self, extra: int, allowance: int = 0) -> int:
        """Return the size for content * 1.1 + `extra`, the content being `allowance` more than the trees."""
        size = round_up(MIN_FAT[self._sector], STEP) if self.fs == "vfat" else STEP
        while True:
            wanted = (self.need(size).size + allowance) * 11 // 10 + extra
            if self.room(size) >= wanted:
                return size
            size = max(size + STEP, round_up(wanted, STEP))
