"""A squashfs image as a source: its files read out of it, with owners, modes, devices, attributes and holes.

The format: the kernel's Documentation/filesystems/squashfs.rst, and what of it mksquashfs writes (version 4.0).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import lz4, volume_files
from bootsmith.tasks.tree.lz4 import Unpack
from bootsmith.tasks.tree.tar import NO_XATTRS, Entry
from bootsmith.tasks.tree.volume_files import Damaged, Holes, VolumeFile

MAGIC: Final = b"hsqs"
_HEAD: Final = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
_METADATA: Final = 8192
_MOST: Final = 1 << 30
"""Bytes of a table, unpacked: ten million files have less."""
_LARGEST_BLOCK: Final = 1 << 20
_NONE: Final = 0xFFFFFFFF
_NO_TABLE: Final = 0xFFFFFFFFFFFFFFFF
_PACKED: Final = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_PREFIXES: Final = ("user.", "trusted.", "security.")
_OUT_OF_LINE: Final = 0x100
_KINDS: Final = {1: "d", 2: "f", 3: "l", 4: "b", 5: "c", 6: "p", 7: "s"}
"""Types of inodes; what has more to say has a number larger by seven."""
_INODE: Final = struct.Struct("<HHHHII")


def take(ctx: Context) -> None:
    """Write the files of the image as a tar, and its index."""
    file = ctx.inputs["file"]
    with file.open("rb") as opened:
        if not opened.seek(0, 2):
            raise StageError(f"{shown(file)} is empty", "Name a squashfs image.")
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as view:
            try:
                image = Squashfs(view, lambda: lz4.load(ctx.tool(lz4.LIBRARY)))
            except (Damaged, struct.error) as error:
                raise StageError(f"{shown(file)} cannot be read: {error}", "Name a squashfs image.") from error
            sockets = volume_files.write(file, image.files(), ctx.outputs["tar"], ctx.outputs["index"])
    if sockets:
        ctx.tell(f"{shown(file)}: /{shown(sockets[0])}: sockets are no files of a tree, and left out")


class _Table(NamedTuple):
    """A table of metadata, unpacked; `blocks` tells where each of its blocks, by its place in the file, begins."""

    data: bytes
    blocks: Mapping[int, int]

    def at(self, block: int, offset: int) -> int:
        found = self.blocks.get(block)
        if found is None or found + offset > len(self.data):
            raise Damaged("it refers to a place where nothing is")
        return found + offset


class _Inode(NamedTuple):
    entry: Entry
    size: int
    """Bytes of data, or of a directory's list."""
    number: int
    names: int
    """How many names it has."""
    block: int
    """Where its list is, of a directory; its data, of a file."""
    offset: int
    fragment: int
    sizes: Sequence[int]


class Squashfs:
    """An image; `load_lz4` returns what unpacks that. Raises Damaged, and struct.error where it breaks off."""

    def __init__(self, view: mmap.mmap, load_lz4: Callable[[], Unpack]) -> None:
        self._view = view
        head = _HEAD.unpack_from(view)
        if head[0] != MAGIC:
            raise Damaged("it is no squashfs, or one of another byte order")
        if head[9:11] != (4, 0):
            raise Damaged(f"it is squashfs {head[9]}.{head[10]}, and 4.0 is read here")
        self._block_size = head[3]
        if not 4096 <= self._block_size <= _LARGEST_BLOCK or self._block_size & (self._block_size - 1):
            raise Damaged(f"its blocks have {self._block_size} bytes")
        self._unpack = _unpacker(head[5], load_lz4)
        self._root = head[11]
        end, ids, xattrs, inodes, folders, fragments = head[12:18]
        if end > len(view):
            raise Damaged(f"it is cut short: {len(view)} of {end} bytes are there")
        self._inodes = self._table(inodes, folders)
        tables = [each for each in (fragments, head[18], ids, xattrs) if each != _NO_TABLE and each > folders]
        self._folders = self._table(folders, min(tables, default=end))
        self._ids = self._rows(ids, head[8], 4)
        self._fragments = self._rows(fragments, head[4], 16) if head[4] else b""
        self._xattr_ids, self._xattrs = self._attributes(xattrs)
        self._fragment = lru_cache(8)(self._read_fragment)

    # -- metadata

    def _metadata(self, at: int) -> tuple[bytes, int]:
        """Return a block of metadata, unpacked, and where the next one begins."""
        (head,) = struct.unpack_from("<H", self._view, at)
        size = head & 0x7FFF
        data = self._view[at + 2 : at + 2 + size]
        if len(data) != size or not size:
            raise Damaged("a block of its tables breaks off")
        return (data if head & 0x8000 else self._unpack(data, _METADATA)), at + 2 + size

    def _table(self, start: int, end: int) -> _Table:
        """Return all of a table's blocks. They refer to each other by places in the file, from its start."""
        pieces, blocks, at, length = [], {}, start, 0
        while at < end:
            blocks[at - start] = length
            data, at = self._metadata(at)
            pieces.append(data)
            length += len(data)
            if length > _MOST:
                raise Damaged("its tables are larger than those of ten million files")
        return _Table(b"".join(pieces), blocks)

    def _rows(self, start: int, count: int, size: int) -> bytes:
        """Return a table that is found by a list of its blocks' places."""
        number = -(-count * size // _METADATA)
        places = struct.unpack_from(f"<{number}Q", self._view, start)
        data = b"".join(self._metadata(place)[0] for place in places)
        if len(data) < count * size:
            raise Damaged("a table of it is shorter than it says")
        return data

    def _attributes(self, start: int) -> tuple[bytes, _Table]:
        if start == _NO_TABLE:
            return b"", _Table(b"", {})
        first, count = struct.unpack_from("<QI", self._view, start)
        number = -(-count * 16 // _METADATA)
        places = struct.unpack_from(f"<{number}Q", self._view, start + 16)
        return self._rows(start + 16, count, 16), self._table(first, places[0] if places else start)

    def _xattrs_of(self, number: int) -> Mapping[str, bytes]:
        if number == _NONE:
            return NO_XATTRS
        place, count, _ = struct.unpack_from("<QII", self._xattr_ids, number * 16)
        data, at, found = self._xattrs.data, self._xattrs.at(place >> 16, place & 0xFFFF), {}
        for _ in range(count):
            kind, length = struct.unpack_from("<HH", data, at)
            name, at = data[at + 4 : at + 4 + length], at + 4 + length
            where = at
            if kind & _OUT_OF_LINE:
                (there,) = struct.unpack_from("<Q", data, at + 4)
                where = self._xattrs.at(there >> 16, there & 0xFFFF)
            (size,) = struct.unpack_from("<I", data, where)
            value = data[where + 4 : where + 4 + size]
            if kind & 0xFF >= len(_PREFIXES) or len(value) != size:
                raise Damaged("an attribute of it breaks off, or is of no kind")
            found[_PREFIXES[kind & 0xFF] + name.decode("utf-8", "surrogateescape")] = value
            at += 4 + (8 if kind & _OUT_OF_LINE else size)
        return found

    # -- files

    def files(self) -> Iterator[VolumeFile]:
        """Yield each file, the top first. Raises Damaged."""
        try:
            yield from self._below()
        except (struct.error, IndexError) as error:
            raise Damaged("its tables break off") from error

    def _below(self) -> Iterator[VolumeFile]:
        top = self._inode(self._root >> 16, self._root & 0xFFFF, "")
        if top.entry.type != "d":
            raise Damaged("its top is no directory")
        yield VolumeFile(top.entry)
        waiting, seen, names = [top], {top.number}, dict[int, str]()
        count = 0
        while waiting:
            folder = waiting.pop()
            for block, offset, name in self._listed(folder):
                count += 1
                if count > volume_files.MOST_FILES:
                    raise Damaged("it has more than ten million files")
                inode = self._inode(block, offset, volume_files.child(folder.entry.path, name))
                entry = inode.entry
                if entry.type == "d":
                    if inode.number in seen:
                        raise Damaged(f"/{shown(entry.path)} is in two places")
                    seen.add(inode.number)
                    waiting.append(inode)
                elif inode.names > 1 and inode.number in names:
                    entry = Entry(entry.path, "h", mtime=entry.mtime, link=names[inode.number])
                elif inode.names > 1:
                    names[inode.number] = entry.path
                yield VolumeFile(entry, partial(self._data, inode) if entry.type == "f" else None)

    def _listed(self, folder: _Inode) -> Iterator[tuple[int, int, bytes]]:
        """Yield of each name in a directory where its inode is."""
        left = folder.size - 3  # which stand for . and .., that are not there
        if left <= 0:
            return
        data, at = self._folders.data, self._folders.at(folder.block, folder.offset)
        end = at + left
        while at < end:
            count, block, _ = struct.unpack_from("<III", data, at)
            at += 12
            for _ in range(count + 1):
                offset, _, _, length = struct.unpack_from("<HhHH", data, at)
                yield block, offset, data[at + 8 : at + 9 + length]
                at += 9 + length
                if at > end:
                    raise Damaged(f"the list of /{shown(folder.entry.path)} breaks off")

    def _inode(self, block: int, offset: int, path: str) -> _Inode:
        data, at = self._inodes.data, self._inodes.at(block, offset)
        kind, mode, uid, gid, mtime, number = _INODE.unpack_from(data, at)
        at += _INODE.size
        more = kind > 7
        letter = _KINDS.get(kind - 7 if more else kind)
        if letter is None:
            raise Damaged(f"/{shown(path)} is of no kind")
        entry = Entry(path, letter, mode & 0o7777, self._id(uid), self._id(gid), mtime=mtime)
        names, size, xattr, place, offset, fragment = 1, 0, _NONE, 0, 0, _NONE
        sizes: Sequence[int] = ()
        if letter == "d" and more:
            names, size, place, _, _, offset, xattr = struct.unpack_from("<IIIIHHI", data, at)
        elif letter == "d":
            place, names, size, offset, _ = struct.unpack_from("<IIHHI", data, at)
        elif letter == "f":
            form = struct.Struct("<QQQIIII" if more else "<IIII")
            told = form.unpack_from(data, at)
            place, size, names, fragment, offset, xattr = (
                (told[0], told[1], *told[3:7]) if more else (told[0], told[3], 1, told[1], told[2], _NONE)
            )
            count = size // self._block_size if fragment != _NONE else -(-size // self._block_size)
            sizes = struct.unpack_from(f"<{count}I", data, at + form.size) if count * 4 <= len(data) else ()
            if len(sizes) != count:
                raise Damaged(f"/{shown(path)} is larger than all that there is")
            entry = entry._replace(size=size, stretches=self._stretches(size, sizes, fragment))
        elif letter == "l":
            names, length = struct.unpack_from("<II", data, at)
            entry = entry._replace(mode=0o777, link=volume_files.link(data[at + 8 : at + 8 + length]))
            xattr = struct.unpack_from("<I", data, at + 8 + length)[0] if more else _NONE
        elif letter in "bc":
            names, device = struct.unpack_from("<II", data, at)
            major, minor = volume_files.device(device)
            entry = entry._replace(major=major, minor=minor)
            xattr = struct.unpack_from("<I", data, at + 8)[0] if more else _NONE
        else:
            (names,) = struct.unpack_from("<I", data, at)
            xattr = struct.unpack_from("<I", data, at + 4)[0] if more else _NONE
        if xattr != _NONE:
            entry = entry._replace(xattrs=self._xattrs_of(xattr))
        return _Inode(entry, size, number, names, place, offset, fragment, sizes)

    def _id(self, number: int) -> int:
        return int(struct.unpack_from("<I", self._ids, 4 * number)[0])

    # -- data

    def _stretches(self, size: int, sizes: Sequence[int], fragment: int) -> Any:
        if 0 not in sizes:
            return None
        holes = Holes(size)
        for each in sizes:
            (holes.data if each else holes.hole)(self._block_size)
        if fragment != _NONE:
            holes.data(self._block_size)
        return holes.stretches()

    def _data(self, inode: _Inode) -> Iterator[bytes]:
        at, left = inode.block, inode.size
        for each in inode.sizes:
            size, wanted = each & 0xFFFFFF, min(left, self._block_size)
            if each:
                yield self._block(at, each, wanted)
            at += size
            left -= wanted
        if inode.fragment != _NONE and left:
            data = self._fragment(inode.fragment)[inode.offset : inode.offset + left]
            if len(data) != left:
                raise Damaged("its end is not there")
            yield data

    def _read_fragment(self, number: int) -> bytes:
        if 16 * number + 16 > len(self._fragments):
            raise Damaged("its end is not there")
        at, size = struct.unpack_from("<QI", self._fragments, 16 * number)
        return self._block(at, size, None)

    def _block(self, at: int, told: int, wanted: int | None) -> bytes:
        size = told & 0xFFFFFF
        data = self._view[at : at + size]
        if len(data) == size and not told & 0x1000000:
            data = self._unpack(data, self._block_size)
        if wanted is not None and len(data) != wanted:
            raise Damaged("a block of it breaks off")
        return data


def _unpacker(number: int, load_lz4: Callable[[], Unpack]) -> Unpack:
    """Return what unpacks a block to at most so many bytes. Raises Damaged where nothing here does."""
    packing = _PACKED.get(number, f"{number}")
    if packing == "gzip":
        import zlib

        def unpack(data: bytes, most: int) -> bytes:
            return zlib.decompressobj().decompress(data, most)

        failure: type[Exception] = zlib.error
    elif packing in ("xz", "lzma"):
        import lzma

        form = lzma.FORMAT_XZ if packing == "xz" else lzma.FORMAT_ALONE

        def unpack(data: bytes, most: int) -> bytes:
            return lzma.LZMADecompressor(form).decompress(data, most)

        failure = lzma.LZMAError
    elif packing == "zstd":
        from bootsmith.cache.files import zstandard

        zstd = zstandard.module()

        def unpack(data: bytes, most: int) -> bytes:
            return bytes(zstd.ZstdDecompressor().decompress(data, most))

        failure = zstd.ZstdError
    elif packing == "lz4":
        return load_lz4()
    else:
        raise Damaged(f"it is packed by {packing}, which is not read here; pack it by gzip, xz or zstd")

    def told(data: bytes, most: int) -> bytes:
        try:
            return unpack(data, most)
        except failure as error:
            raise Damaged(f"{packing}: {error}") from error

    return told
