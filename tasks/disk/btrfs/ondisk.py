"""What stands where in a btrfs: its numbers and structures, as Linux has them (include/uapi/linux/btrfs_tree.h)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

SECTOR: Final = 4096
NODE: Final = 16384
HEADER: Final = struct.Struct("<32s16sQQ16sQQIB")
"""Of a tree block: checksum, filesystem, its address, flags, chunk tree, generation, owner, items, level."""
KEY: Final = struct.Struct("<QBQ")
ITEM: Final = struct.Struct("<QBQII")
"""A key, where behind the header its data is, and how much."""
POINTER: Final = struct.Struct("<QBQQQ")
"""A key, the address of the block that begins with it, its generation."""
ROOM: Final = NODE - HEADER.size
"""Bytes for items and their data in a leaf."""
LARGEST: Final = ROOM - ITEM.size
"""Bytes of data that one item may have."""

SUPERBLOCK: Final = 4096
SUPERBLOCKS: Final = (64 << 10, 64 << 20, 256 << 30)
"""Where copies of the superblock are, of which the first is the one that counts."""
MAGIC: Final = b"_BHRfS_M"

ROOT_TREE, EXTENT_TREE, CHUNK_TREE, DEV_TREE, FS_TREE, ROOT_DIR, CSUM_TREE = range(1, 8)
UUID_TREE, FREE_SPACE_TREE = 9, 10
ANY: Final = (1 << 64) - 1
DATA_RELOC_TREE: Final = (1 << 64) - 9
CSUMS: Final = (1 << 64) - 10
FIRST_CHUNK: Final = 256
FIRST: Final = 256
"""The number of a tree's top directory."""

INODE_ITEM, INODE_REF, INODE_EXTREF, XATTR_ITEM = 1, 12, 13, 24
DIR_ITEM, DIR_INDEX, EXTENT_DATA, EXTENT_CSUM = 84, 96, 108, 128
ROOT_ITEM, ROOT_BACKREF, ROOT_REF = 132, 144, 156
EXTENT_ITEM, METADATA_ITEM, TREE_BLOCK_REF, EXTENT_DATA_REF = 168, 169, 176, 178
BLOCK_GROUP_ITEM, FREE_SPACE_INFO, FREE_SPACE_EXTENT = 192, 198, 199
DEV_EXTENT, DEV_ITEM, CHUNK_ITEM, UUID_SUBVOL = 204, 216, 228, 251

DATA, SYSTEM, METADATA, DUP = 1, 2, 4, 32
"""What a chunk holds, and that it is there twice."""

INODE: Final = struct.Struct("<QQQQQIIIIQQQ32x" + 4 * "qI")
"""Generation, transaction, size, bytes, group, links, uid, gid, mode, device, flags, sequence, and four times."""
ROOT: Final = struct.Struct("<160sQQQQQQQI17xBBQ16s32xQQ16xQIQI24x64x")
"""An inode; generation, top, address, limit, bytes, snapshot, flags, names; levels, generation, UUID; changed, made."""
DIR_ENTRY: Final = struct.Struct("<QBQQHHB")
"""Key of what it names, transaction, bytes of data and of the name behind it, kind."""
INLINE: Final = struct.Struct("<QQBBHB")
"""Generation, bytes unpacked, packing, encryption, other encoding, and INLINE_DATA."""
EXTENT: Final = struct.Struct("<QQBBHBQQQQ")
"""The same, and address, bytes there, where in them the file's begin, how many those are."""
INLINE_DATA, REGULAR, PREALLOCATED = range(3)
CHUNK: Final = struct.Struct("<QQQQIIIHH")
"""Length, owner, length of a stripe, type, alignment, width, sector, stripes, and how many of them are of each kind."""
STRIPE: Final = struct.Struct("<QQ16s")
DEVICE: Final = struct.Struct("<QQQIIIQQQIBB16s16s")
KINDS: Final = {"f": 1, "d": 2, "c": 3, "b": 4, "p": 5, "s": 6, "l": 7}
XATTR: Final = 8
MODES: Final = {"p": 0o010000, "c": 0o020000, "d": 0o040000, "b": 0o060000, "f": 0o100000, "l": 0o120000, "s": 0o140000}


class Key(NamedTuple):
    """By which items are sorted: whose it is, of what kind, and where or what of it."""

    objectid: int
    type: int
    offset: int


class Item(NamedTuple):
    """One entry of a tree."""

    key: Key
    data: bytes
