"""libext2fs, the library behind mke2fs and debugfs: an ext2, ext3 or ext4 filesystem in a plain file.

No mount, no root, no parsing of a program's messages: every call returns an error code. Only what bootsmith writes with
is bound. Blocks of data and of directories go through `fd`; the library never sees them, so its cache cannot be stale.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from bootsmith.cache.digest.index import CHUNK
from bootsmith.cache.files import sparse
from bootsmith.tasks.disk.ext.inode import Inode
from bootsmith.tasks.errors import StageError

ROOT_INODE = 2
OLD_INODE = 128

_RW, _64_BITS = 0x1, 0x20000
_MASTER_SB_ONLY = 0x200
_NO_SYNC = 1
_FORCE_INIT = 2  # EXT2_FALLOCATE_FORCE_INIT: allocated blocks count as written
_MAGIC = 2133571329  # EXT2_ET_MAGIC_EXT2FS_FILSYS: what struct_ext2_filsys begins with
_EXT_MAGIC = 0xEF53
_CHANNEL_MAGIC, _MANAGER_MAGIC = 2133571333, 2133571335
_LAST_ERRNO = 4095
_FULL = {2133571400, 2133571401}  # EXT2_ET_BLOCK_ALLOC_FAIL, EXT2_ET_INODE_ALLOC_FAIL

_AHEAD = 1 << 15
"""Blocks that are looked for at once, for the files to come, and the most that one extent maps."""

Blocks: TypeAlias = "Sequence[tuple[int, int]]"
"""Blocks of a file: the first of each row of them, and how many."""

_pointer = ctypes.c_void_p
_u32, _u64, _int = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int
_u64_p, _pointer_p = ctypes.POINTER(_u64), ctypes.POINTER(_pointer)
_inode_p = ctypes.c_char_p
_MANY = 4000
_MANAGER_WORDS = 30  # of struct_io_manager: sixteen that mean something, and those that are kept free
_Write32 = ctypes.CFUNCTYPE(ctypes.c_long, _pointer, ctypes.c_ulong, _int, _pointer)
_WriteByte = _Write32
_Write64 = ctypes.CFUNCTYPE(ctypes.c_long, _pointer, ctypes.c_ulonglong, _int, _pointer)
_Range = ctypes.CFUNCTYPE(ctypes.c_long, _pointer, ctypes.c_ulonglong, ctypes.c_ulonglong)
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "ext2fs_open2": (ctypes.c_char_p, ctypes.c_char_p, _int, _int, ctypes.c_uint, _pointer, _pointer_p),
    "ext2fs_read_bitmaps": (_pointer,),
    "ext2fs_close2": (_pointer, _int),
    "ext2fs_read_inode_full": (_pointer, _u32, _inode_p, _int),
    "ext2fs_write_inode_full": (_pointer, _u32, _inode_p, _int),
    "ext2fs_new_inode": (_pointer, _u32, _int, _pointer, ctypes.POINTER(_u32)),
    "ext2fs_new_range": (_pointer, _int, _u64, _u64, _pointer, _u64_p, _u64_p),
    "ext2fs_fallocate": (_pointer, _int, _u32, _inode_p, _u64, _u64, _u64),
    "ext2fs_punch": (_pointer, _u32, _inode_p, ctypes.c_char_p, _u64, _u64),
    "ext2fs_bmap2": (_pointer, _u32, _inode_p, ctypes.c_char_p, _int, _u64, ctypes.POINTER(_int), _u64_p),
    "ext2fs_dir_block_csum_set": (_pointer, _u32, ctypes.c_char_p),
    "ext2fs_xattrs_open": (_pointer, _u32, _pointer_p),
    "ext2fs_xattr_set": (_pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t),
    "ext2fs_xattrs_close": (_pointer_p,),
    "ext2fs_free_ext_attr": (_pointer, _u32, _inode_p),
}
_VOID: dict[str, tuple[Any, ...]] = {
    "ext2fs_block_alloc_stats_range": (_pointer, _u64, _u64, _int),
    "ext2fs_inode_alloc_stats2": (_pointer, _u32, _int, _int),
    "ext2fs_mark_super_dirty": (_pointer,),
    "ext2fs_free": (_pointer,),
    "initialize_ext2_error_table": (),
}

_loaded: dict[Path, ctypes.CDLL] = {}
_loading = threading.Lock()


class NoSpace(Exception):
    """The filesystem has no block or no inode left."""


class LibraryError(Exception):
    """The library refused, for the reason it gives."""


def load(path: Path) -> ctypes.CDLL:
    """Return the library at `path`, its functions typed. Raises StageError where it cannot be used."""
    with _loading:
        if path not in _loaded:
            try:
                library = ctypes.CDLL(os.fspath(path))
                for name, arguments in (_SIGNATURES | _VOID).items():
                    function = getattr(library, name)
                    function.argtypes = arguments
                    function.restype = None if name in _VOID else ctypes.c_long
                library.error_message.argtypes = (ctypes.c_long,)
                library.error_message.restype = ctypes.c_char_p
            except (OSError, AttributeError) as error:
                raise StageError(f"{path} cannot be used: {error}", "Update e2fsprogs to 1.46 or later.") from error
            library.initialize_ext2_error_table()
            _loaded[path] = library
        return _loaded[path]


class Volume:
    """An ext filesystem open for writing; every time stamp it makes is `epoch`. Not for several threads at once."""

    def __init__(self, library: ctypes.CDLL, path: Path, epoch: int) -> None:
        self._library = library
        self._path = path
        self.epoch = max(epoch, 1)  # 0 is "now" to the library, and "never" as the time of a removal
        self._goal = 0
        self._free_until = 0  # from the goal on
        self.written: set[int] | None = None
        """Numbers of the chunks to which something was written, by the library too; None where it cannot be watched."""
        manager = _pointer.in_dll(library, "unix_io_manager")
        self._fs = _pointer()
        # Without a cache, what the library writes stands there before what we write through `fd`.
        code = library.ext2fs_open2(os.fsencode(path), b"cache=off", _RW | _64_BITS, 0, 0, manager, self._fs)
        self._check("ext2fs_open2", code)
        try:
            self._superblock = self._adopt()
            self.written = set() if self._watch(manager) else None
            self._call("ext2fs_read_bitmaps")
            self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except BaseException:
            library.ext2fs_free(self._fs)
            raise
        self.block_size: int = 1024 << self._field("<I", 0x18)
        self.inode_size: int = self._field("<H", 0x58) if self._field("<I", 0x4C) else OLD_INODE  # revision 0 says none
        self.has_file_types = bool(self._field("<I", 0x60) & 0x2)
        self.has_extents = bool(self._field("<I", 0x60) & 0x40)
        self._has_clusters = bool(self._field("<I", 0x64) & 0x200)
        self.has_checksums = bool(self._field("<I", 0x64) & 0x400)

    def _adopt(self) -> int:
        """Fix the clock of the open filesystem; return the address of its superblock.

        These are the first fields of struct_ext2_filsys and the on-disk superblock, both public and unchanged since
        libext2fs.so.2 has 64-bit blocks; anything else is noticed here, before anything is written.
        """
        start = self._fs.value or 0
        superblock = _pointer.from_address(start + 32).value or 0
        magic = ctypes.c_long.from_address(start).value, ctypes.c_uint16.from_address(superblock + 0x38).value
        if magic != (_MAGIC, _EXT_MAGIC):
            raise StageError("this libext2fs lays out its memory in an unknown way", "Install another e2fsprogs.")
        ctypes.c_long.from_address(start + 184).value = self.epoch  # fs->now
        # Backup superblocks and descriptors are left as mke2fs wrote them unless this flag goes; versions differ there.
        ctypes.c_int.from_address(start + 16).value &= ~_MASTER_SB_ONLY
        for offset in (0x30, 0x40, 0x108):  # s_wtime, s_lastcheck, s_mkfs_time
            _u32.from_address(superblock + offset).value = self.epoch & 0xFFFFFFFF
        for offset in (0x274, 0x276, 0x277):  # their high bytes
            ctypes.c_uint8.from_address(superblock + offset).value = self.epoch >> 32 & 0xFF
        _u64.from_address(superblock + 0x178).value = 0  # s_kbytes_written; 0 is not counted on from
        self._library.ext2fs_mark_super_dirty(self._fs)
        return superblock

    def _watch(self, manager: ctypes.c_void_p) -> bool:
        """Have the library's writes go through us, who note where they go; tell whether that can be.

        struct_io_channel begins with its magic, its manager, its name and the size of its blocks; the table of a
        manager's functions only ever grew at its end, into words that were kept free (lib/ext2fs/ext2_io.h).
        """
        channel = _pointer.from_address((self._fs.value or 0) + 8).value or 0
        theirs = manager.value or 0
        magics = ctypes.c_long.from_address(channel).value, ctypes.c_long.from_address(theirs).value
        if magics != (_CHANNEL_MAGIC, _MANAGER_MAGIC) or _pointer.from_address(channel + 8).value != theirs:
            return False
        table = (_pointer * _MANAGER_WORDS)()
        ctypes.memmove(table, theirs, ctypes.sizeof(table))
        block_size = _int.from_address(channel + 24)

        def blocks(block: int, count: int) -> None:
            self._note(block * block_size.value, -count if count < 0 else count * block_size.value)

        self._watched: list[Any] = [table]
        for slot, kind, note in (
            (6, _Write32, blocks),
            (8, _WriteByte, self._note),
            (12, _Write64, blocks),
            (13, _Range, blocks),  # discarding
            (15, _Range, blocks),  # writing zeros
        ):
            if address := table[slot]:
                call = _watched(kind, kind(address), note)
                self._watched.append(call)
                table[slot] = ctypes.cast(call, _pointer)
        _pointer.from_address(channel + 8).value = ctypes.addressof(table)
        self._watched.append((channel, theirs))
        return True

    def expect(self, changes: int) -> None:
        """Let the library write by itself where very many names change: noting that takes longer than reading."""
        if self.written is not None and changes > _MANY:
            channel, theirs = self._watched[-1]
            _pointer.from_address(channel + 8).value = theirs
            self.written = None

    def _field(self, form: str, offset: int) -> int:
        value: int = struct.unpack(form, ctypes.string_at(self._superblock + offset, struct.calcsize(form)))[0]
        return value

    def _call(self, name: str, *arguments: Any) -> None:
        """Call a function of the library on this filesystem. Raises NoSpace, LibraryError, OSError."""
        self._check(name, getattr(self._library, name)(self._fs, *arguments))

    def _check(self, name: str, code: int) -> None:
        if code in _FULL:
            raise NoSpace(name)
        if 0 < code <= _LAST_ERRNO:
            raise OSError(code, os.strerror(code), str(self._path))
        if code:
            raise LibraryError(f"{name}: {self._library.error_message(code).decode(errors='replace')}")

    def close(self) -> None:
        """Write what is pending and let go of the file. Not synced: records decide what survives a power cut."""
        self._call("ext2fs_close2", _NO_SYNC)
        self._fs = _pointer()  # freed with its success
        os.close(self.fd)

    def abandon(self) -> None:
        """Let go of a file that was not closed, pending changes lost."""
        if self._fs:
            self._library.ext2fs_free(self._fs)
            self._fs = _pointer()
            os.close(self.fd)

    # -- inodes

    def read_inode(self, number: int) -> Inode:
        """Return an inode as it stands on disk."""
        inode = Inode(self.inode_size)
        self._call("ext2fs_read_inode_full", number, _at(inode), self.inode_size)
        return inode

    def write_inode(self, number: int, inode: Inode) -> None:
        """Write an inode, its checksum included."""
        self._call("ext2fs_write_inode_full", number, _at(inode), self.inode_size)

    def take_inode(self, *, directory: bool) -> int:
        """Return the lowest free inode, now in use. Raises NoSpace."""
        found = _u32()
        self._call("ext2fs_new_inode", ROOT_INODE, 0, None, found)
        self._library.ext2fs_inode_alloc_stats2(self._fs, found, 1, int(directory))
        return found.value

    def free_inode(self, number: int, *, directory: bool, blocks: Blocks | None = None) -> None:
        """Give an inode back with all it holds; `blocks` are those that a file with holes has."""
        inode = self.read_inode(number)
        self.drop_xattrs(number, inode)
        if inode.has_blocks:
            self.release(number, inode, 0, blocks)
        inode.delete(self.epoch)
        self.write_inode(number, inode)
        self._library.ext2fs_inode_alloc_stats2(self._fs, number, -1, int(directory))

    # -- blocks

    def write(self, data: sparse.Buffer, start: int) -> None:
        """Write data of files and directories from a byte of the filesystem on."""
        self._note(start, len(data))
        sparse.write(self.fd, data, start)

    def punch(self, start: int, size: int) -> None:
        """Let a stretch of the filesystem read as zeros."""
        self._note(start, size)
        sparse.punch(self.fd, start, size)

    def _note(self, start: int, size: int) -> None:
        if self.written is not None and size:
            self.written.update(range(start // CHUNK, (start + size - 1) // CHUNK + 1))

    def blocks(self, size: int) -> int:
        """Return how many blocks so many bytes take."""
        return -(-size // self.block_size)

    def reserve(self, number: int, inode: Inode, first: int, count: int) -> int | None:
        """Give a file `count` more blocks from its block `first` on, in one piece where possible. Raises NoSpace.

        Return where they begin if they are all that it has, in one piece; None where its map has to be asked.
        """
        start, free = self._stretch(count)
        if not first and count <= min(free, _AHEAD) and not self._has_clusters and inode.is_unmapped():
            # what ext2fs_fallocate does then, without writing the inode twice on the way
            self._library.ext2fs_block_alloc_stats_range(self._fs, start, count, 1)
            inode.map_stretch(start, count, self.block_size)
        else:
            self._free_until = 0  # it may take more, for its map, and some of them before it fails
            self._call("ext2fs_fallocate", _FORCE_INIT, number, _at(inode), start, first, count)
            self._goal = start + count
            return None
        self._goal, self._free_until = start + count, start + free
        return start

    def _stretch(self, count: int) -> tuple[int, int]:
        """Return where so many free blocks begin, else where any do, looking from the last ones taken. Raises NoSpace.

        And how many there are, so far as they were counted. The library can look for a least length itself, but never
        ends where there is none and the last block is used.
        """
        if self._free_until - self._goal >= count:
            return self._goal, self._free_until - self._goal
        start, length = _u64(), _u64()
        at, wrapped = self._goal, False
        while True:
            self._call("ext2fs_new_range", 0, at, max(count, _AHEAD), None, start, length)
            if length.value >= count:
                return start.value, length.value
            if start.value < at:
                if wrapped:
                    return start.value, length.value
                wrapped = True
            at = start.value + length.value
            if wrapped and at >= self._goal:
                return start.value, length.value

    def runs(self, number: int, inode: Inode, blocks: Blocks | None = None) -> list[tuple[int, int, int]]:
        """Return where a file's blocks stand, in order: (first in the file, first on the disk, how many).

        `blocks` are those that it has, where it has holes.
        """
        told = inode.extents()
        if told is not None:
            return told
        found: list[tuple[int, int, int]] = []
        block = _u64()
        for first, count in [(0, self.blocks(inode.size))] if blocks is None else blocks:
            for index in range(first, first + count):
                self._call("ext2fs_bmap2", number, _at(inode), None, 0, index, None, block)
                logical, physical, length = found[-1] if found else (0, 0, 0)
                if length and (logical + length, physical + length) == (index, block.value):
                    found[-1] = logical, physical, length + 1
                else:
                    found.append((index, block.value, 1))
        return found

    def release(self, number: int, inode: Inode, first: int, blocks: Blocks | None = None) -> None:
        """Take a file's blocks, from its block `first` to its end, away, leaving zeros where they stood."""
        if first < self.blocks(inode.size):
            for logical, block, length in self.runs(number, inode, blocks):
                kept = min(max(0, first - logical), length)
                self.punch((block + kept) * self.block_size, (length - kept) * self.block_size)
            self._call("ext2fs_punch", number, _at(inode), None, first, 0xFFFFFFFFFFFFFFFF)

    def seal_directory_block(self, number: int, block: bytes) -> bytes:
        """Return a directory's block with its checksum, for which its last 12 bytes have room."""
        sealed = ctypes.create_string_buffer(block, self.block_size)
        self._call("ext2fs_dir_block_csum_set", number, sealed)
        return sealed.raw

    # -- extended attributes

    def set_xattrs(self, number: int, xattrs: Mapping[str, bytes]) -> None:
        """Give an inode, already written and without any, these extended attributes."""
        self._free_until = 0  # the library may take a block for them
        handle = _pointer()
        self._call("ext2fs_xattrs_open", number, handle)
        try:
            for name, value in sorted(xattrs.items()):
                code = self._library.ext2fs_xattr_set(handle, os.fsencode(name), value, len(value))
                self._check("ext2fs_xattr_set", code)
        finally:
            self._library.ext2fs_xattrs_close(handle)

    def drop_xattrs(self, number: int, inode: Inode) -> None:
        """Take all extended attributes from an inode, which the caller then writes."""
        if inode.xattr_block:
            self._call("ext2fs_free_ext_attr", number, _at(inode))
        inode.clear_xattrs()


def _watched(kind: Any, call: Callable[..., int], note: Callable[[int, int], None]) -> Any:
    """Return a function of a manager that notes a place and how much before it does what `call` does."""

    def noting(channel: int, place: int, count: int, *data: int) -> int:
        note(place, count)
        return call(channel, place, count, *data)

    return kind(noting)


def _at(inode: Inode) -> ctypes.Array[ctypes.c_char]:
    """Return an inode's own bytes for the library to read and write."""
    return (ctypes.c_char * len(inode)).from_buffer(inode)
