"""An ext2, ext3 or ext4 filesystem made, and a tree put into it or brought up to date in it.

The bytes depend on the filesystem as it was before and on the two trees, never on the host, the clock or the user.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.ext.inode import (
    DIRECTORY,
    FAST_SYMLINK,
    FILE_TYPE,
    MOST_LINKS,
    MOST_SUBDIRECTORIES,
    Inode,
    directory_blocks,
    most_bytes,
    read_names,  # fmt: skip
)
from bootsmith.tasks.disk.ext.libext2fs import ROOT_INODE, Blocks, LibraryError, NoSpace, Volume, load
from bootsmith.tasks.disk.ext.library import library
from bootsmith.tasks.disk.sizing import BLOCK, INODE, MIB, ExtForm, Geometry
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import member_data
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
_TYPES = (*FEATURES, "floppy", "small", "big", "huge")  # mke2fs adds one of the latter by size, and misses it
_CONFIG = "[defaults]\n\tbase_features = none\n[fs_types]\n" + "".join(
    f"\t{name} = {{\n\t\tinode_size = {INODE}\n\t}}\n" for name in _TYPES
)

_CHUNK = 1 << 20
_LONGEST_NAME = 255


def make(
    ctx: Context,
    path: Path,
    geometry: Geometry,
    form: ExtForm,
    *,
    fs: str,
    uuid: str,
    label: str,
    extra: Sequence[str],
    epoch: int,
) -> None:
    """Make an empty filesystem in a new file. `extra` are words for mke2fs that win over ours."""
    with path.open("xb") as file:
        file.truncate(geometry.size)
    config = ctx.work / "mke2fs.conf"
    config.write_text(_CONFIG)
    journal = ["-J", f"size={geometry.journal // MIB}"] if geometry.journal else []
    features = ["none", FEATURES[fs], *form.features, *([] if geometry.journal else ["^has_journal"])]
    ctx.run(
        "mke2fs", "-q", "-F", "-t", fs, "-b", str(BLOCK), "-I", str(form.inode_size), "-N", str(geometry.inodes),
        "-m", str(form.reserved), *journal, "-O", ",".join(features), "-L", label, "-U", uuid,
        # discarding the new file, which is all holes, lets zeros be known: they need not be written
        "-E", f"hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=1",
        *extra, path,
        env={"MKE2FS_CONFIG": str(config), "E2FSPROGS_FAKE_TIME": str(epoch)},
    )  # fmt: skip


def update(
    ctx: Context, path: Path, name: str, *, present: Tree, wanted: Tree, sources: Sequence[Path], epoch: int
) -> set[int] | None:
    """Turn the tree in a filesystem from `present`, which it must hold, into `wanted`.

    Return the numbers of the file's chunks (`cache.digest.index.CHUNK`) to which something may have been written, None
    where that cannot be told.

    An entry's number in `wanted` is the index of the source with its data; `name` is the partition's, for messages.
    Raises StageError, naming the path, where the filesystem is full or cannot hold an entry.
    """
    return _changed(ctx, path, name, epoch, lambda volume: _Update(volume, name, present, wanted, sources).run())


def revise(
    ctx: Context, path: Path, name: str, *, paths: Sequence[str], wanted: Tree, sources: Sequence[Path], epoch: int
) -> set[int] | None:
    """Give files of a tree in a filesystem what they have in `wanted`, of which all else must be there as it is.

    Only such files whose blocks are as many as before, and that have no attributes; see `stands`. All else as `update`.
    """
    return _changed(ctx, path, name, epoch, lambda volume: _Update(volume, name, {}, wanted, sources).revise(paths))


def stands(old: Entry, new: Entry) -> bool:
    """Tell whether a file's data and its inode are all that differs, one entry in the other's place."""
    return (
        old.type == new.type == "f"
        and old.path == new.path
        and not (old.xattrs or new.xattrs)
        and old.stretches is new.stretches is None
        and -(-old.size // BLOCK) == -(-new.size // BLOCK)
    )


def _changed(ctx: Context, path: Path, name: str, epoch: int, change: Callable[[Volume], None]) -> set[int] | None:
    try:
        volume = Volume(load(library(ctx.tool("mke2fs"))), path, epoch)
        try:
            change(volume)
            volume.close()
            return volume.written
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
        self._inodes: dict[tuple[Any, ...], bytes] = {}  # new ones, by what of an entry they follow from
        self._pending: list[bytes] = []  # data of files that stand one behind the other
        self._start = self._end = 0

    def run(self) -> None:
        gone = sorted((path for path in self.present if path and self._replaced(path)), reverse=True)
        new = sorted((path for path in self.wanted if path and self._added(path)), key=_name_by_name)
        files = [path for path in new if self.wanted[path][1].type != "h"]
        names = [path for path in new if self.wanted[path][1].type == "h"]
        links = Counter(self.wanted[path][1].link for path in names)
        self.volume.expect(len(gone) + len(new))
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
            self._flush()
            for path in sorted(set(links) - set(self.inodes)):
                self._add_links(path, links[path])
        except NoSpace:
            raise StageError(
                f"partition {self.name} is full: there is no room for /{shown(path)}",
                "Make it larger, or raise its `extra`.",
            ) from None
        except LibraryError as error:
            raise StageError(f"partition {self.name}: /{shown(path)}: {error}") from error
        finally:
            self._close_sources()

    def revise(self, paths: Sequence[str]) -> None:
        """Write data and inodes of files anew, where they stand."""
        self.volume.expect(len(paths))
        try:
            for path in paths:
                source, entry = self.wanted[path]
                number = self._directory(_parent(path)).names[os.fsencode(_name(path))][0]
                inode = self._new_inode(entry)
                inode.take_data(self.volume.read_inode(number))
                inode.size = entry.size
                self._write_data(path, number, inode, entry, self._source(source))
                self.volume.write_inode(number, inode)
            self._flush()
        finally:
            self._close_sources()

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
        runs = volume.runs(directory.inode, inode)
        size = volume.block_size
        try:
            directory.names.update(
                read_names(b"".join(os.pread(volume.fd, count * size, block * size) for _, block, count in runs))
            )
        except ValueError as error:
            raise LibraryError(f"inode {directory.inode}: {error}") from error
        if not volume.has_file_types:
            for name, (number, _) in directory.names.items():
                directory.names[name] = number, volume.read_inode(number).type

    def _remove(self, path: str) -> None:
        """Take a name away, and what it names when that was its last; directories are empty by now."""
        volume = self.volume
        number, kind = self._directory(_parent(path)).names.pop(os.fsencode(_name(path)))
        self.touched.add(_parent(path))
        self.touched.discard(path)
        self.directories.pop(path, None)
        inode = volume.read_inode(number)
        if kind == DIRECTORY or inode.links <= 1:
            volume.free_inode(number, directory=kind == DIRECTORY, blocks=self._holding(path))
        else:
            inode.links -= 1
            volume.write_inode(number, inode)

    def _holding(self, path: str) -> Blocks | None:
        """Return which blocks of a file of the tree before hold data, None where all do."""
        entry = self.present[path][1]
        if entry.type == "h":
            entry = self.present[entry.link][1]
        return None if entry.stretches is None else member_data.blocks(entry, self.volume.block_size)

    def _name(self, path: str) -> None:
        """Give a new entry its inode and its name."""
        _, entry = self.wanted[path]
        name = os.fsencode(_name(path))
        if len(name) > _LONGEST_NAME or b"\0" in name or name in (b".", b"..", b""):
            raise StageError(f"/{shown(path)}: ext filesystems cannot hold this name")
        above = self._directory(_parent(path))
        if entry.type == "h":
            number, kind = self._directory(_parent(entry.link)).names[os.fsencode(_name(entry.link))]
        else:
            kind = FILE_TYPE[entry.type]
            number = self.inodes[path] = self.volume.take_inode(directory=kind == DIRECTORY)
            if kind == DIRECTORY:
                self.directories[path] = _Directory(number, above.inode)
                self.touched.add(path)
        above.names[name] = (number, kind)
        self.touched.add(_parent(path))

    def _add_links(self, path: str, count: int) -> None:
        """Count new names of a file that was there before."""
        number = self._directory(_parent(path)).names[os.fsencode(_name(path))][0]
        inode = self.volume.read_inode(number)
        inode.links = self._links(path, inode.links + count)
        self.volume.write_inode(number, inode)

    def _links(self, path: str, count: int) -> int:
        """Return how many names an inode has. Raises StageError for more than the filesystem counts."""
        most = MOST_LINKS[self.volume.has_extents]
        if count > most:
            raise StageError(
                f"partition {self.name}: /{shown(path)} has {count} links, and this filesystem counts no more than "
                f"{most}",
                "Leave some of its names out." if self.volume.has_extents else "Leave some out, or take fs: ext4.",
            )
        return count

    # -- directories

    def _write_directory(self, path: str) -> None:
        """Write a directory's entries and its inode."""
        volume = self.volume
        fresh = path in self.inodes
        directory = self.directories[path]
        number = directory.inode
        blocks = directory_blocks(
            number, directory.parent, directory.names, volume.block_size,
            checksums=volume.has_checksums, types=volume.has_file_types,
        )  # fmt: skip
        inode = self._new_inode(self.wanted[path][1]) if fresh else volume.read_inode(number)
        count = volume.blocks(inode.size)
        if len(blocks) > count:
            volume.reserve(number, inode, count, len(blocks) - count)
        else:
            volume.release(number, inode, len(blocks))
        inode.size = len(blocks) * volume.block_size
        links = 2 + sum(kind == DIRECTORY for _, kind in directory.names.values())
        uncounted = self.volume.has_extents and links > MOST_SUBDIRECTORIES  # with dir_nlink
        inode.links = 1 if uncounted else self._links(path, links)
        volume.write_inode(number, inode)
        self._fill(number, inode, b"".join(volume.seal_directory_block(number, block) for block in blocks))
        if fresh:
            self._set_xattrs(number, self.wanted[path][1])

    def _change_directory(self, path: str) -> None:
        """Give a directory that stays its new owner, mode, times and attributes."""
        number, entry = self._directory(path).inode, self.wanted[path][1]
        old, inode = self.volume.read_inode(number), self._new_inode(entry)
        self.volume.drop_xattrs(number, old)
        inode.take_data(old)
        self.volume.write_inode(number, inode)
        self._set_xattrs(number, entry)

    # -- inodes

    def _new_inode(self, entry: Entry) -> Inode:
        if entry.type in "cb":
            return Inode.of(entry, self.volume.epoch, self.volume.inode_size)
        is_mapped = entry.type in "fd" or len(os.fsencode(entry.link)) >= FAST_SYMLINK
        about = entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, is_mapped
        known = self._inodes.get(about)
        if known is None:
            known = self._inodes[about] = bytes(self._make_inode(entry, is_mapped=is_mapped))
        return Inode(known)

    def _make_inode(self, entry: Entry, *, is_mapped: bool) -> Inode:
        inode = Inode.of(entry, self.volume.epoch, self.volume.inode_size)
        if self.volume.has_extents and is_mapped:
            inode.map_by_extents()
        return inode

    def _write_node(self, path: str, links: int) -> None:
        """Write a new entry that is no directory and has so many hard links: its data and its inode."""
        number, entry = self.wanted[path]
        if entry.type == "d":
            return
        ino = self.inodes[path]
        inode = self._new_inode(entry)
        inode.links = self._links(path, 1 + links)
        if entry.type == "f" and entry.size:
            self._write_file(path, ino, inode, entry, self._source(number))
        elif entry.type == "l":
            self._write_symlink(path, ino, inode, os.fsencode(entry.link))
        self.volume.write_inode(ino, inode)
        self._set_xattrs(ino, entry)

    def _write_symlink(self, path: str, ino: int, inode: Inode, target: bytes) -> None:
        if not target or len(target) >= self.volume.block_size or b"\0" in target:
            raise StageError(f"/{shown(path)}: ext filesystems cannot hold this symlink's target")
        inode.size = len(target)
        if len(target) < FAST_SYMLINK:
            inode[40 : 40 + len(target)] = target
            return
        self.volume.reserve(ino, inode, 0, 1)
        self._fill(ino, inode, target)

    def _write_file(self, path: str, ino: int, inode: Inode, entry: Entry, source: int) -> None:
        volume = self.volume
        most = most_bytes(volume.block_size, extents=volume.has_extents)
        if entry.size > most:
            raise StageError(
                f"partition {self.name}: /{shown(path)} has {entry.size} bytes, and this filesystem's files at most "
                f"{most}",
                "Leave it out of the tree.",
            )
        inode.size = entry.size
        blocks = member_data.blocks(entry, volume.block_size)
        place: int | None = None
        for first, count in blocks:
            place = volume.reserve(ino, inode, first, count)
        if place is not None and entry.size <= _CHUNK and entry.stretches is None:
            whole = os.pread(source, entry.size, entry.offset)
            if len(whole) == entry.size:
                self._put_or_punch(place * volume.block_size, whole)
                return
        self._write_data(path, ino, inode, entry, source)

    def _write_data(self, path: str, ino: int, inode: Inode, entry: Entry, source: int) -> None:
        """Write a file's data into the blocks it has."""
        volume, data = self.volume, member_data.Data(source, entry)
        for first, block, count in volume.runs(ino, inode, member_data.blocks(entry, volume.block_size)):
            at, target, end = first * volume.block_size, block * volume.block_size, (block + count) * volume.block_size
            while target < end:
                chunk = data.read(at, min(_CHUNK, end - target, entry.size - at))
                if not chunk:
                    raise StageError(f"/{shown(path)}: its layer ends early", "Remove the layer; it is made again.")
                at += len(chunk)
                target += self._put_or_punch(target, chunk)

    def _put_or_punch(self, target: int, chunk: bytes) -> int:
        """Write data of a file, to the end of its block; return how many bytes those are. Zeros become a hole."""
        volume = self.volume
        if len(chunk) % volume.block_size:
            chunk = chunk.ljust(volume.blocks(len(chunk)) * volume.block_size, b"\0")
        if chunk[0] or chunk[-1] or chunk.count(0) != len(chunk):
            self._put(target, chunk)
        else:
            volume.punch(target, len(chunk))
        return len(chunk)

    def _put(self, target: int, chunk: bytes) -> None:
        """Write blocks together with those that stand before them."""
        if target != self._end or target - self._start >= _CHUNK:
            self._flush()
            self._start = target
        self._pending.append(chunk)
        self._end = target + len(chunk)

    def _flush(self) -> None:
        if self._pending:
            self.volume.write(b"".join(self._pending), self._start)
            self._pending.clear()
        self._end = 0

    def _fill(self, ino: int, inode: Inode, data: bytes) -> None:
        """Write a small file's whole data into the blocks it has."""
        size = self.volume.block_size
        view = memoryview(data.ljust(self.volume.blocks(len(data)) * size, b"\0"))
        for _, block, count in self.volume.runs(ino, inode):
            self.volume.write(view[: count * size], block * size)
            view = view[count * size :]

    def _set_xattrs(self, number: int, entry: Entry) -> None:
        if entry.xattrs:
            try:
                self.volume.set_xattrs(number, entry.xattrs)
            except LibraryError as error:
                raise StageError(f"/{shown(entry.path)}: its extended attributes do not fit: {error}") from error

    def _close_sources(self) -> None:
        for fd in self.files.values():
            os.close(fd)

    def _source(self, number: int) -> int:
        if number not in self.files:
            self.files[number] = os.open(self.sources[number], os.O_RDONLY | os.O_CLOEXEC)
        return self.files[number]


def _without_lost_found(tree: Tree) -> Tree:
    """Return a tree without the directory that mke2fs makes and e2fsck wants as it is."""
    kept = tree.get("lost+found")
    return (
        tree if kept is None or kept[1].type != "d" else {path: node for path, node in tree.items() if node is not kept}
    )


def _name_by_name(path: str) -> str:
    """Return what sorts a path as its names do, each folder before what is in it."""
    return path.replace("/", "\0")


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]
