"""An ext2, ext3 or ext4 filesystem made, and a tree put into it or brought up to date in it.

The bytes depend on the filesystem as it was before and on the two trees, never on the host, the clock or the user.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootsmith.tasks.disk import splice
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.libext2fs import EXTENTS_FLAG, ROOT_INODE, LibraryError, NoSpace, Volume, load
from bootsmith.tasks.disk.sizing import BLOCK, INODE, MIB, RESERVED_PERCENT, Geometry
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.stage import Context
from bootsmith.tasks.tree.tar import Entry

# Spelled out, so that every version of mke2fs makes the same filesystem, one that GRUB 2.06 reads: none of orphan_file,
# metadata_csum_seed, or whatever a host's mke2fs.conf adds.
_EXT2 = "ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file"
_EXT3 = f"has_journal,{_EXT2}"
FEATURES = {
    "ext2": _EXT2,
    "ext3": _EXT3,
    "ext4": f"{_EXT3},extent,64bit,flex_bg,huge_file,dir_nlink,extra_isize,metadata_csum",
}
_CONFIG = "[defaults]\n\tbase_features = none\n[fs_types]\n" + "".join(f"\t{fs} = {{\n\t}}\n" for fs in FEATURES)

_FORMAT = {"f": 0x8000, "d": 0x4000, "l": 0xA000, "c": 0x2000, "b": 0x6000, "p": 0x1000, "s": 0xC000}
_FILE_TYPE = {"f": 1, "d": 2, "c": 3, "b": 4, "p": 5, "s": 6, "l": 7}
_DIRECTORY = 2
_TAIL = 12  # a directory block's checksum, as an entry that is none
_MAX_LINKS = 64998  # a directory with more subdirectories says 1: "not counted"
_FAST_SYMLINK = 60  # shorter targets stand in the inode
_CHUNK = 1 << 20

Inode = ctypes.Array[ctypes.c_char]


def make(ctx: Context, path: Path, geometry: Geometry, *, fs: str, uuid: str, label: str, extra: Sequence[str]) -> None:
    """Make an empty filesystem in a new file. `extra` are words for mke2fs that win over ours."""
    with path.open("xb") as file:
        file.truncate(geometry.size)
    config = ctx.work / "mke2fs.conf"
    config.write_text(_CONFIG)
    epoch = str(ctx.params["epoch"])
    journal = ["-J", f"size={geometry.journal // MIB}"] if geometry.journal else []
    features = FEATURES[fs] if geometry.journal else FEATURES[fs].replace("has_journal,", "")
    ctx.run(
        "mke2fs", "-q", "-F", "-t", fs, "-b", str(BLOCK), "-I", str(INODE), "-N", str(geometry.inodes),
        "-m", str(RESERVED_PERCENT), *journal, "-O", f"none,{features}", "-L", label, "-U", uuid,
        # the file is new, so zeros need not be written
        "-E", f"hash_seed={uuid},root_owner=0:0,nodiscard,lazy_itable_init=0,lazy_journal_init=1",
        *extra, path,
        env={"MKE2FS_CONFIG": str(config), "E2FSPROGS_FAKE_TIME": epoch},
    )  # fmt: skip


def library() -> Path:
    """Return the libext2fs that the host's mke2fs runs with: the one its identity covers. Raises StageError."""
    from bootsmith.tasks.tools import host, identity

    program = host.find("mke2fs")
    for found in identity.libraries(program):
        if Path(found).name.startswith("libext2fs.so."):
            return Path(found)
    raise StageError(f"{program} is not linked with libext2fs", "Install e2fsprogs as your distribution packages it.")


def update(path: Path, name: str, present: Tree, wanted: Tree, sources: Sequence[Path], epoch: int) -> None:
    """Turn the tree in a filesystem from `present`, which it must hold, into `wanted`.

    An entry's number in `wanted` is the index of the source with its data; `name` is the partition's, for messages.
    Raises StageError, naming the path, where the filesystem is full or cannot hold an entry.
    """
    try:
        volume = Volume(load(library()), path, epoch)
        try:
            _Update(volume, name, present, wanted, sources).run()
            volume.close()
        finally:
            volume.abandon()
    except LibraryError as error:
        raise StageError(f"partition {name}: {error}") from error


@dataclass(slots=True)
class _Directory:
    """A directory's names -> (inode, file type), "." and ".." apart."""

    inode: int
    parent: int
    names: dict[bytes, tuple[int, int]] = field(default_factory=dict)


class _Update:
    """One update of one volume."""

    def __init__(self, volume: Volume, name: str, present: Tree, wanted: Tree, sources: Sequence[Path]) -> None:
        self.volume = volume
        self.name = name
        self.present = _without_lost_found(present)
        self.wanted = _without_lost_found(wanted)
        self.sources = sources
        self.files: dict[int, int] = {}
        self.directories: dict[str, _Directory] = {}
        self.inodes: dict[str, int] = {}  # of what this update made
        self.touched: set[str] = set()

    def run(self) -> None:
        gone = sorted((path for path in self.present if path and self._replaced(path)), reverse=True)
        new = sorted((path for path in self.wanted if path and self._added(path)), key=lambda path: path.split("/"))
        files = [path for path in new if self.wanted[path][1].type != "h"]
        names = [path for path in new if self.wanted[path][1].type == "h"]
        links = Counter(self.wanted[path][1].link for path in names)
        path = ""
        try:
            for path in gone:
                self._remove(path)
            for path in [*files, *names]:
                self._name(path)
            for path in sorted(self.touched):
                self._write_directory(path)
            for path in sorted(path for path in self.wanted if self._changed(path)):
                self._change_directory(path)
            for path in files:
                self._write_node(path, links[path])
            for path in sorted(set(links) - set(self.inodes)):
                self._add_links(path, links[path])
        except NoSpace:
            raise StageError(
                f"partition {self.name} is full: there is no room for /{path}",
                "Make it larger, or raise its `extra`.",
            ) from None
        except LibraryError as error:
            raise StageError(f"partition {self.name}: /{path}: {error}") from error
        finally:
            for fd in self.files.values():
                os.close(fd)

    def _replaced(self, path: str) -> bool:
        """Tell whether the name `path` has to go; a directory that stays one is changed in place."""
        old, new = self.present[path], self.wanted.get(path)
        return new is None or (new != old and not old[1].type == new[1].type == "d")

    def _added(self, path: str) -> bool:
        return path not in self.present or self._replaced(path)

    def _changed(self, path: str) -> bool:
        """Tell whether a directory that stays has another owner, mode, time or attribute now."""
        node = self.wanted[path]
        return node[1].type == "d" and node != self.present.get(path) and (not path or not self._added(path))

    # -- names

    def _directory(self, path: str) -> _Directory:
        found = self.directories.get(path)
        if found is None:
            if path:
                above, name = self._directory(_parent(path)), os.fsencode(_name(path))
                inode = above.names[name][0]
                found = _Directory(inode, above.inode)
            else:
                found = _Directory(ROOT_INODE, ROOT_INODE)
            self._read_directory(found)
            self.directories[path] = found
        return found

    def _read_directory(self, directory: _Directory) -> None:
        volume = self.volume
        inode = volume.read_inode(directory.inode)
        count = _size(inode) // volume.block_size
        for block, length in volume.runs(directory.inode, inode, 0, count):
            data = os.pread(volume.fd, length * volume.block_size, block * volume.block_size)
            at = 0
            while at < len(data):
                number, step, name_length, kind = struct.unpack_from("<IHBB", data, at)
                name = data[at + 8 : at + 8 + name_length]
                if number and name not in (b".", b".."):
                    directory.names[name] = (number, kind)
                if step < 8:
                    raise StageError(f"partition {self.name} holds a damaged directory, inode {directory.inode}")
                at += step

    def _remove(self, path: str) -> None:
        """Take a name away, and what it names when that was its last; directories are empty by now."""
        volume = self.volume
        above = self._directory(_parent(path))
        number, kind = above.names.pop(os.fsencode(_name(path)))
        self.touched.add(_parent(path))
        self.touched.discard(path)
        self.directories.pop(path, None)
        inode = volume.read_inode(number)
        links = _links(inode)
        if kind != _DIRECTORY and links > 1:
            _set_links(inode, links - 1)
            volume.write_inode(number, inode)
            return
        blocks = -(-_size(inode) // volume.block_size) if kind in (1, _DIRECTORY) or _is_slow_symlink(inode) else 0
        volume.free_inode(number, inode, blocks, directory=kind == _DIRECTORY)

    def _name(self, path: str) -> None:
        """Give a new entry its inode and its name."""
        _, entry = self.wanted[path]
        name = os.fsencode(_name(path))
        if len(name) > 255 or b"\0" in name or name in (b".", b"..", b""):
            raise StageError(f"/{path}: ext filesystems cannot hold this name")
        above = self._directory(_parent(path))
        if entry.type == "h":
            number, kind = self._directory(_parent(entry.link)).names[os.fsencode(_name(entry.link))]
        else:
            kind = _FILE_TYPE[entry.type]
            number = self.inodes[path] = self.volume.take_inode(directory=kind == _DIRECTORY)
            if kind == _DIRECTORY:
                self.directories[path] = _Directory(number, above.inode)
                self.touched.add(path)
        above.names[name] = (number, kind)
        self.touched.add(_parent(path))

    def _add_links(self, path: str, count: int) -> None:
        """Count new names of a file that was there before."""
        number = self._directory(_parent(path)).names[os.fsencode(_name(path))][0]
        inode = self.volume.read_inode(number)
        _set_links(inode, _links(inode) + count)
        self.volume.write_inode(number, inode)

    # -- directories

    def _write_directory(self, path: str) -> None:
        """Write a directory's entries, sorted by name, and its inode."""
        volume = self.volume
        fresh = path in self.inodes
        directory = self.directories[path]
        subdirectories = sum(kind == _DIRECTORY for _, kind in directory.names.values())
        blocks = self._directory_blocks(directory)
        if fresh:
            inode, count = self._new_inode(self.wanted[path][1]), 0
        else:
            inode = volume.read_inode(directory.inode)
            count = _size(inode) // volume.block_size
        if len(blocks) > count:
            volume.reserve(directory.inode, inode, count, len(blocks) - count)
        else:
            volume.release(directory.inode, inode, len(blocks), count - len(blocks))
        _set_size(inode, len(blocks) * volume.block_size)
        _set_links(inode, 2 + subdirectories if 2 + subdirectories <= _MAX_LINKS else 1)
        volume.write_inode(directory.inode, inode)
        content = b"".join(volume.seal_directory_block(directory.inode, block) for block in blocks)
        self._fill(directory.inode, inode, content)
        if fresh:
            self._set_xattrs(directory.inode, self.wanted[path][1])

    def _directory_blocks(self, directory: _Directory) -> list[bytes]:
        room = self.volume.block_size - (_TAIL if self.volume.has_checksums else 0)
        tail = struct.pack("<IHBBI", 0, _TAIL, 0, 0xDE, 0) if self.volume.has_checksums else b""
        entries = [(b".", directory.inode, 2), (b"..", directory.parent, 2)]
        entries += [(name, *directory.names[name]) for name in sorted(directory.names)]
        blocks = []
        block, last = bytearray(), 0

        def finish() -> bytes:
            struct.pack_into("<H", block, last + 4, room - last)  # the last entry reaches to the end
            return bytes(block.ljust(room, b"\0")) + tail

        for name, number, kind in entries:
            length = -(-(8 + len(name)) // 4) * 4
            if len(block) + length > room:
                blocks.append(finish())
                block = bytearray()
            last = len(block)
            block += struct.pack("<IHBB", number, length, len(name), kind) + name.ljust(length - 8, b"\0")
        return [*blocks, finish()]

    def _change_directory(self, path: str) -> None:
        """Give a directory that stays its new owner, mode, times and attributes."""
        number = self._directory(path).inode
        old = self.volume.read_inode(number)
        self.volume.drop_xattrs(number, old)
        entry = self.wanted[path][1]
        inode = self._new_inode(entry)
        for start, end in ((4, 8), (26, 36), (40, 100), (108, 112), (116, 118)):  # size, links, blocks, flags, where
            inode[start:end] = old[start:end]
        self.volume.write_inode(number, inode)
        self._set_xattrs(number, entry)

    # -- inodes

    def _new_inode(self, entry: Entry) -> Inode:
        volume = self.volume
        inode = ctypes.create_string_buffer(volume.inode_size)
        mode = _FORMAT[entry.type] | (entry.mode & 0o7777)
        mtime, ctime = entry.mtime & 0xFFFFFFFF, volume.epoch & 0xFFFFFFFF
        struct.pack_into("<HHIIII", inode, 0, mode, entry.uid & 0xFFFF, 0, mtime, ctime, mtime)
        struct.pack_into("<HH", inode, 24, entry.gid & 0xFFFF, 1)
        struct.pack_into("<HH", inode, 120, entry.uid >> 16 & 0xFFFF, entry.gid >> 16 & 0xFFFF)
        if volume.inode_size > 128:
            # the two bits beyond 2038, as the kernel counts them: from the sign of the lower 32
            late = entry.mtime - (mtime - (mtime >> 31 << 32)) >> 32 & 3
            now = volume.epoch - (ctime - (ctime >> 31 << 32)) >> 32 & 3
            struct.pack_into("<HHIIIII", inode, 128, 32, 0, now, late, late, ctime, now)
        if entry.type in "fd" and volume.has_extents:
            struct.pack_into("<I", inode, 32, EXTENTS_FLAG)
            struct.pack_into("<HHHHI", inode, 40, 0xF30A, 0, 4, 0, 0)
        return inode

    def _write_node(self, path: str, links: int) -> None:
        """Write a new entry that is no directory and has so many hard links: its data and its inode."""
        number, entry = self.wanted[path]
        if entry.type == "d":
            return
        ino = self.inodes[path]
        inode = self._new_inode(entry)
        _set_links(inode, 1 + links)
        if entry.type == "f":
            self._write_file(path, ino, inode, entry, self._source(number))
        elif entry.type == "l":
            self._write_symlink(path, ino, inode, os.fsencode(entry.link))
        elif entry.type in "cb":
            struct.pack_into("<II", inode, 40, *_device(entry.major, entry.minor))
        self.volume.write_inode(ino, inode)
        self._set_xattrs(ino, entry)

    def _write_symlink(self, path: str, ino: int, inode: Inode, target: bytes) -> None:
        if not target or len(target) >= self.volume.block_size or b"\0" in target:
            raise StageError(f"/{path}: ext filesystems cannot hold this symlink's target")
        _set_size(inode, len(target))
        if len(target) < _FAST_SYMLINK:
            inode[40 : 40 + len(target)] = target
            return
        if self.volume.has_extents:
            struct.pack_into("<I", inode, 32, EXTENTS_FLAG)
            struct.pack_into("<HHHHI", inode, 40, 0xF30A, 0, 4, 0, 0)
        self.volume.reserve(ino, inode, 0, 1)
        self._fill(ino, inode, target)

    def _write_file(self, path: str, ino: int, inode: Inode, entry: Entry, source: int) -> None:
        volume = self.volume
        _set_size(inode, entry.size)
        blocks = -(-entry.size // volume.block_size)
        if not blocks:
            return
        volume.reserve(ino, inode, 0, blocks)
        at, left = entry.offset, entry.size
        for block, length in volume.runs(ino, inode, 0, blocks):
            target, end = block * volume.block_size, (block + length) * volume.block_size
            while target < end:
                chunk = os.pread(source, min(_CHUNK, end - target, left), at)
                if not chunk:
                    raise StageError(f"/{path}: the layer that holds it ends early", "Remove the layer; it is made again.")
                at += len(chunk)
                left -= len(chunk)
                if not left:
                    chunk = chunk.ljust(-(-len(chunk) // volume.block_size) * volume.block_size, b"\0")
                if chunk[0] or chunk[-1] or chunk.count(0) != len(chunk):
                    splice.write(volume.fd, chunk, target)
                else:
                    splice.punch(volume.fd, target, len(chunk))
                target += len(chunk)

    def _fill(self, ino: int, inode: Inode, data: bytes) -> None:
        """Write a small file's whole data into the blocks it has."""
        size = self.volume.block_size
        view = memoryview(data.ljust(-(-len(data) // size) * size, b"\0"))
        for block, length in self.volume.runs(ino, inode, 0, len(view) // size):
            splice.write(self.volume.fd, view[: length * size], block * size)
            view = view[length * size :]

    def _set_xattrs(self, number: int, entry: Entry) -> None:
        if entry.xattrs:
            try:
                self.volume.set_xattrs(number, dict(entry.xattrs))
            except LibraryError as error:
                raise StageError(f"/{entry.path}: its extended attributes do not fit: {error}") from error

    def _source(self, number: int) -> int:
        if number not in self.files:
            self.files[number] = os.open(self.sources[number], os.O_RDONLY | os.O_CLOEXEC)
        return self.files[number]


def _without_lost_found(tree: Tree) -> Tree:
    """Return a tree without the directory that mke2fs makes and e2fsck wants as it is."""
    return {path: node for path, node in tree.items() if path != "lost+found" or node[1].type != "d"}


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _device(major: int, minor: int) -> tuple[int, int]:
    """Return a device number as the first two block pointers hold it: the old 16-bit form, else the new one."""
    if major < 256 and minor < 256:
        return major << 8 | minor, 0
    return 0, (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


def _size(inode: Inode) -> int:
    low: int = struct.unpack_from("<I", inode, 4)[0]
    high: int = struct.unpack_from("<I", inode, 108)[0]
    return high << 32 | low


def _set_size(inode: Inode, size: int) -> None:
    struct.pack_into("<I", inode, 4, size & 0xFFFFFFFF)
    struct.pack_into("<I", inode, 108, size >> 32)


def _links(inode: Inode) -> int:
    links: int = struct.unpack_from("<H", inode, 26)[0]
    return links


def _set_links(inode: Inode, links: int) -> None:
    struct.pack_into("<H", inode, 26, links)


def _is_slow_symlink(inode: Inode) -> bool:
    return struct.unpack_from("<H", inode, 0)[0] & 0xF000 == 0xA000 and _size(inode) >= _FAST_SYMLINK
