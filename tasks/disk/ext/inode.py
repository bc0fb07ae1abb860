"""An ext inode as it stands on disk (Linux, Documentation/filesystems/ext4/inodes.rst), and what directories hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from bootsmith.tasks.tree.tar import Entry

FORMAT = {"f": 0x8000, "d": 0x4000, "l": 0xA000, "c": 0x2000, "b": 0x6000, "p": 0x1000, "s": 0xC000}
FILE_TYPE = {"f": 1, "d": 2, "c": 3, "b": 4, "p": 5, "s": 6, "l": 7}
DIRECTORY = FILE_TYPE["d"]
FAST_SYMLINK = 60  # shorter targets stand in the inode
MOST_LINKS = {True: 65_000, False: 32_000}
"""Names that an inode counts: in ext4, and in ext2 and ext3 (Linux, EXT4_LINK_MAX, EXT2_LINK_MAX)."""
MOST_SUBDIRECTORIES = 64_998  # of a directory of ext4 that counts them; one with more says 1


def most_bytes(block_size: int, *, extents: bool) -> int:
    """Return how large a file can be (Linux, ext4_max_size and ext4_max_bitmap_size)."""
    if extents:
        return 0xFFFFFFFF * block_size
    each = block_size // 4  # block numbers in a block
    return min((12 + each + each**2 + each**3) * block_size, 535_820_284 * 4096)


_OLD_SIZE = 128
_EXTRA_SIZE = 32
_EXTENTS = 0x80000
_EXTENT_MAGIC = 0xF30A
_EXTENT_HEADER = struct.Struct("<HHHHI")
_EXTENT = struct.Struct("<IHHI")
_DIRENT = struct.Struct("<IHBB")
_TAIL = 12  # a directory block's checksum, as an entry that is none
_SIGNED = 1 << 31


class Inode(bytearray):
    """An inode's bytes."""

    @classmethod
    def of(cls, entry: Entry, epoch: int, length: int) -> Inode:
        """Return a new inode of so many bytes, without data; what the tree does not say happened at `epoch`."""
        inode = cls(length)
        mtime, ctime = entry.mtime & 0xFFFFFFFF, epoch & 0xFFFFFFFF
        mode = FORMAT[entry.type] | (entry.mode & 0o7777)
        struct.pack_into("<HHIIII", inode, 0, mode, entry.uid & 0xFFFF, 0, mtime, ctime, mtime)
        struct.pack_into("<HH", inode, 24, entry.gid & 0xFFFF, 1)
        struct.pack_into("<HH", inode, 120, entry.uid >> 16 & 0xFFFF, entry.gid >> 16 & 0xFFFF)
        if length > _OLD_SIZE:
            late, now = _era(entry.mtime), _era(epoch)
            struct.pack_into("<HHIIIII", inode, 128, _EXTRA_SIZE, 0, now, late, late, ctime, now)
        if entry.type in "cb":
            struct.pack_into("<II", inode, 40, *_device(entry.major, entry.minor))
        return inode

    @property
    def type(self) -> int:
        """What the inode is, as a directory's entry tells it."""
        kind = struct.unpack_from("<H", self, 0)[0] & 0xF000
        return next((FILE_TYPE[name] for name, bits in FORMAT.items() if bits == kind), 0)

    @property
    def size(self) -> int:
        low, high = struct.unpack_from("<I", self, 4), struct.unpack_from("<I", self, 108)
        return int(high[0] << 32 | low[0])

    @size.setter
    def size(self, size: int) -> None:
        struct.pack_into("<I", self, 4, size & 0xFFFFFFFF)
        struct.pack_into("<I", self, 108, size >> 32)

    @property
    def links(self) -> int:
        return int(struct.unpack_from("<H", self, 26)[0])

    @links.setter
    def links(self, links: int) -> None:
        struct.pack_into("<H", self, 26, links)

    @property
    def xattr_block(self) -> int:
        return int(struct.unpack_from("<I", self, 104)[0])

    @property
    def has_blocks(self) -> bool:
        """Tell whether the inode points to blocks: not for devices, pipes and short symlinks."""
        kind = struct.unpack_from("<H", self, 0)[0] & 0xF000
        return kind in (FORMAT["f"], FORMAT["d"]) or (kind == FORMAT["l"] and self.size >= FAST_SYMLINK)

    def map_by_extents(self) -> None:
        """Let an inode without data map its blocks by extents."""
        struct.pack_into("<I", self, 32, _EXTENTS)
        _EXTENT_HEADER.pack_into(self, 40, _EXTENT_MAGIC, 0, 4, 0, 0)

    def is_unmapped(self) -> bool:
        """Tell whether it maps blocks by extents and has none."""
        magic, entries, _, depth, _ = _EXTENT_HEADER.unpack_from(self, 40)
        flags, blocks = struct.unpack_from("<I", self, 32), struct.unpack_from("<I", self, 28)
        return bool(flags[0] & _EXTENTS) and magic == _EXTENT_MAGIC and not entries and not depth and not blocks[0]

    def map_stretch(self, start: int, count: int, block_size: int) -> None:
        """Let an inode that is unmapped have its first blocks from one on the disk on, so many in a row."""
        struct.pack_into("<I", self, 28, count * (block_size // 512))
        _EXTENT_HEADER.pack_into(self, 40, _EXTENT_MAGIC, 1, 4, 0, 0)
        _EXTENT.pack_into(self, 52, 0, count, start >> 32, start & 0xFFFFFFFF)

    def extents(self) -> list[tuple[int, int, int]] | None:
        """Return where its blocks stand: (first in the file, first on the disk, how many), in order.

        None where the inode itself does not tell.
        """
        magic, entries, _, depth, _ = _EXTENT_HEADER.unpack_from(self, 40)
        if not struct.unpack_from("<I", self, 32)[0] & _EXTENTS or magic != _EXTENT_MAGIC or depth:
            return None
        found = (_EXTENT.unpack_from(self, 52 + 12 * index) for index in range(entries))
        return [(logical, high << 32 | low, length) for logical, length, high, low in found]

    def take_data(self, other: Inode) -> None:
        """Point to the data of another: its size, links, block count, flags and map."""
        for start, end in ((4, 8), (26, 36), (40, 100), (108, 112), (116, 118)):
            self[start:end] = other[start:end]

    def clear_xattrs(self) -> None:
        """Empty the room for attributes inside the inode."""
        if len(self) > _OLD_SIZE:
            start = _OLD_SIZE + struct.unpack_from("<H", self, 128)[0]
            self[start:] = bytes(len(self) - start)

    def delete(self, epoch: int) -> None:
        """Become a deleted inode."""
        self[:] = bytes(len(self))
        struct.pack_into("<I", self, 20, epoch & 0xFFFFFFFF)


def _era(time: int) -> int:
    """Return the two bits that say in which 136 years a time lies whose lower 32 bits count as signed."""
    low = time & 0xFFFFFFFF
    return (time - ((low ^ _SIGNED) - _SIGNED)) >> 32 & 3


def _device(major: int, minor: int) -> tuple[int, int]:
    """Return a device number as the first two block pointers hold it: the old 16-bit form, else the new one."""
    if major < 256 and minor < 256:
        return major << 8 | minor, 0
    return 0, (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


# -- directories: name -> (inode, file type)


def directory_blocks(
    own: int, parent: int, names: Mapping[bytes, tuple[int, int]], block_size: int, *, checksums: bool, types: bool
) -> list[bytes]:
    """Return a directory's blocks, its names sorted; with `checksums`, each has room for one at its end.

    Without `types` the byte that tells what a name is belongs to the name's length, as the first ext2 had it.
    """
    room = block_size - (_TAIL if checksums else 0)
    tail = struct.pack("<IHBBI", 0, _TAIL, 0, 0xDE, 0) if checksums else b""
    blocks = []
    block, last = bytearray(), 0

    def finish() -> bytes:
        struct.pack_into("<H", block, last + 4, room - last)  # the last entry reaches to the end
        return bytes(block.ljust(room, b"\0")) + tail

    for name, (number, kind) in [(b".", (own, 2)), (b"..", (parent, 2)), *sorted(names.items())]:
        length = -(-(_DIRENT.size + len(name)) // 4) * 4
        if len(block) + length > room:
            blocks.append(finish())
            block = bytearray()
        last = len(block)
        block += _DIRENT.pack(number, length, len(name), kind if types else 0)
        block += name.ljust(length - _DIRENT.size, b"\0")
    return [*blocks, finish()]


def read_names(blocks: bytes) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Yield the names in a directory's blocks, but for "." and "..". Raises ValueError where they are damaged."""
    at = 0
    while at < len(blocks):
        number, step, length, kind = _DIRENT.unpack_from(blocks, at)
        if step < _DIRENT.size:
            raise ValueError("damaged directory")
        name = blocks[at + 8 : at + 8 + length]
        if number and name not in (b".", b".."):
            yield name, (number, kind)
        at += step
