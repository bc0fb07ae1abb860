"""A btrfs, written with all that is in it: the bytes follow from the tree alone.

mkfs.btrfs takes a folder, numbers files as the host's filesystem does, and takes UUIDs from chance. What it would have
made is written here: a filesystem on one device, metadata twice, every sector with its checksum (crc32c), without
holes as items, with a tree of free space; of the features that Linux 5.15 and btrfs-progs 5.15 know.
"""

from __future__ import annotations

import os
import struct
import uuid as uuids
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.btrfs import ondisk, space
from bootsmith.tasks.disk.btrfs.checksum import Crc32c
from bootsmith.tasks.disk.btrfs.inodes import DataChunks, Inodes, Place, inode, name_hash, named
from bootsmith.tasks.disk.btrfs.ondisk import FIRST, NODE, Item, Key
from bootsmith.tasks.disk.btrfs.space import Chunk
from bootsmith.tasks.disk.btrfs.tree_blocks import GENERATION, Blocks, NoSpace, Written, checked, shape
from bootsmith.tasks.disk.content import Tree

_FREE_SPACE: Final = 0x3  # compatible where read only: there is a tree of free space, and it is valid
_FEATURES: Final = 0x1 | 0x40 | 0x100 | 0x200
"""References of the second form, extended ones of inodes, skinny ones of metadata, and no items for holes."""
_DEFAULT: Final = b"default"
_PER_ITEM: Final = (ondisk.ROOM - 2 * ondisk.ITEM.size) // 4 - 1
"""Checksums that stand in one item (BTRFS_MAX_CSUM_ITEMS)."""
_DEVICE: Final = 1
_FIRST_SUBVOLUME: Final = 256


class Full(Exception):
    """The content does not fit."""


def write(  # noqa: PLR0917  all that shapes it
    image: Path,
    size: int,
    tree: Tree,
    sources: Sequence[Path],
    uuid: str,
    label: str,
    epoch: int,
    crc32c: Crc32c,
    subvolumes: Sequence[str] = (),
) -> None:
    """Write a filesystem of so many bytes into a new file; `subvolumes` are folders. Raises Full, StageError."""
    planned = space.chunks(size, space.Demand(tree, subvolumes).need)
    if planned is None:
        raise Full
    with image.open("xb") as file:
        file.truncate(size)
        try:
            _Filesystem(file.fileno(), size, planned, uuid, label, epoch, crc32c).write(tree, sources, subvolumes)
        except NoSpace as error:
            raise Full from error


def _within(path: str, subvolumes: Sequence[str]) -> dict[str, int]:
    """Return the subvolumes that stand in one of them, and in none between, by their paths there."""
    points = sorted(subvolumes)
    found = {}
    for number, each in enumerate(points, _FIRST_SUBVOLUME):
        above = max(
            (other for other in ("", *points) if other != each and (not other or each.startswith(f"{other}/"))), key=len
        )
        if above == path:
            found[each.removeprefix(f"{path}/") if path else each] = number
    return found


class _Filesystem:
    def __init__(  # noqa: PLR0917  all that shapes it
        self, file: int, size: int, chunks: Sequence[Chunk], uuid: str, label: str, epoch: int, crc32c: Crc32c
    ) -> None:
        self._file, self._size, self._chunks = file, size // ondisk.SECTOR * ondisk.SECTOR, chunks
        self._label, self._epoch, self._crc32c = label, epoch, crc32c
        self._own = own = uuids.UUID(uuid)
        self._places: dict[int, Place] = {}
        self._tops: dict[int, bytes] = {}  # UUIDs of trees of files
        self._fsid = own.bytes
        self._device, self._chunk_tree = (uuids.uuid5(own, name).bytes for name in ("device", "chunks"))
        system, metadata, *data = chunks
        self._system = Blocks(file, system, self._fsid, self._chunk_tree, crc32c)
        self._blocks = Blocks(file, metadata, self._fsid, self._chunk_tree, crc32c)
        self._data = DataChunks(file, data, crc32c)

    def write(self, tree: Tree, sources: Sequence[Path], subvolumes: Sequence[str]) -> None:
        trees = []
        for number, (path, files) in enumerate(space.divided(tree, subvolumes).items(), _FIRST_SUBVOLUME - 1):
            root = number if path else ondisk.FS_TREE
            own = Inodes(root, files, sources, self._data, self._epoch, _within(path, subvolumes))
            trees.append(self._blocks.write(root, own.items(self._crc32c)))
            self._places |= own.places
            self._tops[root] = uuids.uuid5(self._own, f"files/{shown(path)}" if path else "files").bytes
        trees.append(self._blocks.write(ondisk.CSUM_TREE, self._checksums()))
        trees.append(self._blocks.write(ondisk.UUID_TREE, self._uuids()))
        trees.append(self._blocks.write(ondisk.DATA_RELOC_TREE, self._empty()))
        trees.append(self._blocks.write(ondisk.DEV_TREE, self._device_extents()))
        chunks = self._system.write(ondisk.CHUNK_TREE, self._chunk_items())
        self._superblocks(chunks, self._accounts(chunks, trees))

    def _accounts(self, chunks: Written, trees: list[Written]) -> Written:
        """Write the trees that tell of every block, their own among them: extents, free space and roots, returned."""
        owners = (ondisk.EXTENT_TREE, ondisk.FREE_SPACE_TREE, ondisk.ROOT_TREE)
        start = self._blocks.next
        shapes = [[0], [0], [0]]
        while True:
            planned, at = list[Written](), start
            for owner, levels in zip(owners, shapes, strict=True):
                addresses = range(at, at + NODE * len(levels), NODE)
                blocks = tuple(zip(addresses, levels, strict=True))
                planned.append(Written(owner, addresses[-1], levels[-1], blocks))
                at += NODE * len(levels)
            every = [chunks, *trees, *planned]
            items = [
                list(self._extent_items(every, at)), list(self._free_items(at)),
                sorted(self._root_items([*trees, *planned[:2]])),
            ]  # fmt: skip
            found = [shape(each) for each in items]
            if found == shapes:
                break
            shapes = found
        return [self._blocks.write(owner, each) for owner, each in zip(owners, items, strict=True)][-1]

    def _checksums(self) -> Iterator[Item]:
        for address, sums in self._data.checksums:
            for first in range(0, len(sums), 4 * _PER_ITEM):
                place = address + first // 4 * ondisk.SECTOR
                yield Item(Key(ondisk.CSUMS, ondisk.EXTENT_CSUM, place), sums[first : first + 4 * _PER_ITEM])

    def _uuids(self) -> Iterator[Item]:
        found = {self._uuid_key(raw): number for number, raw in self._tops.items()}
        for key in sorted(found):
            yield Item(key, struct.pack("<Q", found[key]))

    @staticmethod
    def _uuid_key(raw: bytes) -> Key:
        low, high = struct.unpack("<QQ", raw)
        return Key(low, ondisk.UUID_SUBVOL, high)

    def _empty(self) -> Iterator[Item]:
        """Yield the items of a tree with a top and nothing else."""
        yield Item(Key(FIRST, ondisk.INODE_ITEM, 0), inode(0o40755, self._epoch))
        yield Item(Key(FIRST, ondisk.INODE_REF, FIRST), struct.pack("<QH", 0, 2) + b"..")

    def _device_extents(self) -> Iterator[Item]:
        stripes = sorted((stripe, chunk) for chunk in self._chunks for stripe in chunk.stripes)
        for stripe, chunk in stripes:
            data = struct.pack(
                "<QQQQ16s", ondisk.CHUNK_TREE, ondisk.FIRST_CHUNK, chunk.start, chunk.length, self._chunk_tree
            )
            yield Item(Key(_DEVICE, ondisk.DEV_EXTENT, stripe), data)

    def _device_item(self) -> bytes:
        taken = sum(len(chunk.stripes) * chunk.length for chunk in self._chunks)
        sector = ondisk.SECTOR
        return ondisk.DEVICE.pack(
            _DEVICE, self._size, taken, sector, sector, sector, 0, 0, 0, 0, 0, 0, self._device, self._fsid
        )

    def _chunk_items(self) -> Iterator[Item]:
        yield Item(Key(1, ondisk.DEV_ITEM, _DEVICE), self._device_item())
        for chunk in sorted(self._chunks, key=lambda each: each.start):
            yield Item(Key(ondisk.FIRST_CHUNK, ondisk.CHUNK_ITEM, chunk.start), self._chunk_item(chunk))

    def _chunk_item(self, chunk: Chunk) -> bytes:
        stripe = 64 << 10
        head = ondisk.CHUNK.pack(
            chunk.length, ondisk.EXTENT_TREE, stripe, chunk.kind, stripe, stripe, ondisk.SECTOR, len(chunk.stripes), 1
        )
        return head + b"".join(ondisk.STRIPE.pack(_DEVICE, at, self._device) for at in chunk.stripes)

    def _extent_items(self, trees: Sequence[Written], end: int) -> Iterator[Item]:
        found = []
        for tree in trees:
            for address, level in tree.blocks:
                data = struct.pack("<QQQBQ", 1, GENERATION, 2, ondisk.TREE_BLOCK_REF, tree.owner)
                found.append(Item(Key(address, ondisk.METADATA_ITEM, level), data))
        for each in self._data.extents:
            data = struct.pack(
                "<QQQBQQQI", 1, GENERATION, 1, ondisk.EXTENT_DATA_REF, each.root, each.inode, each.offset, 1
            )
            found.append(Item(Key(each.address, ondisk.EXTENT_ITEM, each.length), data))
        for chunk in self._chunks:
            data = struct.pack("<QQQ", self._used(chunk, end), ondisk.FIRST_CHUNK, chunk.kind)
            found.append(Item(Key(chunk.start, ondisk.BLOCK_GROUP_ITEM, chunk.length), data))
        yield from sorted(found)

    def _used(self, chunk: Chunk, end: int) -> int:
        """Return how much of a chunk is used, where metadata end at an address."""
        if chunk.kind & ondisk.DATA:
            return self._data.used[chunk.start]
        return self._system.used if chunk.kind & ondisk.SYSTEM else end - chunk.start

    def _free_items(self, end: int) -> Iterator[Item]:
        for chunk in sorted(self._chunks, key=lambda each: each.start):
            used = self._used(chunk, end)
            left = chunk.length - used
            told = struct.pack("<II", 1 if left else 0, 0)
            yield Item(Key(chunk.start, ondisk.FREE_SPACE_INFO, chunk.length), told)
            if left:
                yield Item(Key(chunk.start + used, ondisk.FREE_SPACE_EXTENT, left), b"")

    def _root_items(self, trees: Sequence[Written]) -> Iterator[Item]:
        for tree in trees:
            yield Item(Key(tree.owner, ondisk.ROOT_ITEM, 0), self._root_item(tree))
        for number, place in self._places.items():
            told = struct.pack("<QQH", place.folder, place.sequence, len(place.name)) + place.name
            yield Item(Key(place.tree, ondisk.ROOT_REF, number), told)
            yield Item(Key(number, ondisk.ROOT_BACKREF, place.tree), told)
        up, top = ondisk.ROOT_DIR, ondisk.FS_TREE
        yield Item(Key(top, ondisk.INODE_REF, up), struct.pack("<QH", 0, len(_DEFAULT)) + _DEFAULT)
        yield Item(Key(up, ondisk.INODE_ITEM, 0), inode(0o40755, self._epoch))
        yield Item(Key(up, ondisk.INODE_REF, up), struct.pack("<QH", 0, 2) + b"..")
        told = named(Key(top, ondisk.ROOT_ITEM, ondisk.ANY), _DEFAULT, ondisk.KINDS["d"])
        yield Item(Key(up, ondisk.DIR_ITEM, name_hash(_DEFAULT, self._crc32c)), told)

    def _root_item(self, tree: Written) -> bytes:
        holds_files = tree.owner in self._tops or tree.owner == ondisk.DATA_RELOC_TREE
        own = inode(0o40755, 0, size=3, taken=NODE)
        made = self._epoch if tree.owner in self._tops else 0
        return ondisk.ROOT.pack(
            own, GENERATION, FIRST if holds_files else 0, tree.address, 0, NODE * len(tree.blocks), 0, 0, 1, 0,
            tree.level, GENERATION, self._tops.get(tree.owner, b""), 0, 0, made, 0, made, 0,
        )  # fmt: skip

    def _superblocks(self, chunks: Written, roots: Written) -> None:
        system = self._chunks[0]
        array = ondisk.KEY.pack(ondisk.FIRST_CHUNK, ondisk.CHUNK_ITEM, system.start) + self._chunk_item(system)
        used = self._system.used + self._blocks.used + sum(self._data.used.values())
        for at in ondisk.SUPERBLOCKS:
            if at + ondisk.SUPERBLOCK > self._size:
                continue
            block = bytearray(ondisk.SUPERBLOCK)
            struct.pack_into(
                "<16sQQ8sQQQQQQQQQIIIIIQQQQHBBB", block, 32, self._fsid, at, 1, ondisk.MAGIC, GENERATION, roots.address,
                chunks.address, 0, 0, self._size, used, ondisk.ROOT_DIR, 1, ondisk.SECTOR, NODE, NODE, ondisk.SECTOR,
                len(array), GENERATION, 0, _FREE_SPACE, _FEATURES, 0, roots.level, chunks.level, 0,
            )  # fmt: skip
            struct.pack_into("<98s256sQQ", block, 201, self._device_item(), self._label.encode(), 0, GENERATION)
            block[811 : 811 + len(array)] = array
            os.pwrite(self._file, checked(bytes(block), self._crc32c), at)
