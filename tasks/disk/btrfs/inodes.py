"""A tree's files as the items of a btrfs, in the order of their keys; files' data are put into chunks as they come."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.btrfs import ondisk, space
from bootsmith.tasks.disk.btrfs.checksum import ONES, Crc32c
from bootsmith.tasks.disk.btrfs.ondisk import FIRST, SECTOR, Item, Key
from bootsmith.tasks.disk.btrfs.space import Chunk
from bootsmith.tasks.disk.btrfs.tree_blocks import GENERATION, NoSpace
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.sizing import MIB
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.member_data import Data
from bootsmith.tasks.tree.tar import Entry

_FIRST_INDEX = 2
_LONGEST_NAME = 255
_MOST_LINKS = 65535
_NO_KEY = Key(0, 0, 0)


class Extent(NamedTuple):
    """A stretch of data: its address and length, whose it is, and where it would be if the file began it."""

    address: int
    length: int
    root: int
    inode: int
    offset: int


class Place(NamedTuple):
    """Where a subvolume stands: in which tree, in which folder of it, as the how-manieth name, and that."""

    tree: int
    folder: int
    sequence: int
    name: bytes


class DataChunks:
    """The chunks for files' data, filled one behind the other."""

    def __init__(self, file: int, chunks: Sequence[Chunk], crc32c: Crc32c) -> None:
        self._file, self._crc32c = file, crc32c
        self._left = list(chunks)
        self._at = 0
        self.used = dict.fromkeys((chunk.start for chunk in chunks), 0)
        self.extents: list[Extent] = []
        self.checksums: list[tuple[int, bytes]] = []
        """Of each extent: its address, and the numbers of its sectors."""

    def room(self) -> int:
        """Return how much goes behind what was written last. Raises NoSpace."""
        while self._left and self._at == self._left[0].length:
            del self._left[0]
            self._at = 0
        if not self._left:
            raise NoSpace
        return min(self._left[0].length - self._at, space.LARGEST_EXTENT)

    def put(self, data: Data, at: int, length: int, end: int) -> int:
        """Write that much of a file, from `at` on, and zeros from its `end` on; return the address."""
        chunk = self._left[0]
        address = chunk.start + self._at
        sums = bytearray()
        for done in range(0, length, MIB):
            size = min(MIB, length - done)
            piece = data.read(at + done, min(size, end - at - done))
            if len(piece) < min(size, end - at - done):
                raise StageError("a layer is shorter than its index says", "Remove it; it is made again.")
            piece = piece.ljust(size, b"\0")
            os.pwrite(self._file, piece, address + done)
            for sector in range(0, size, SECTOR):
                sums += struct.pack("<I", self._crc32c(ONES, piece[sector : sector + SECTOR]) ^ ONES)
        self.checksums.append((address, bytes(sums)))
        self._at += length
        self.used[chunk.start] += length
        return address


class Inodes:
    """The files of one tree of files, of the number `root`. Times are all `epoch`.

    `below` are the subvolumes that stand in it, by path: a folder has their names, and they are trees of their own.
    """

    def __init__(  # noqa: PLR0917  all that shapes it
        self,
        root: int,
        tree: Tree,
        sources: Sequence[Path],
        data: DataChunks,
        epoch: int,
        below: Mapping[str, int],
    ) -> None:
        self._root, self._tree, self._sources, self._data, self._epoch = root, tree, sources, data, epoch
        self._paths = sorted(tree, key=lambda path: os.fsencode(path).split(b"/") if path else [])
        own = (path for path in self._paths if path and path not in below and tree[path][1].type != "h")
        self._numbers = {"": FIRST} | {path: number for number, path in enumerate(own, FIRST + 1)}
        self._subvolumes = below
        self.places: dict[int, Place] = {}
        """Where the subvolumes in it stand, by number."""
        self._below: dict[str, list[str]] = defaultdict(list)
        self._names: dict[int, list[tuple[int, int, bytes]]] = defaultdict(list)  # of a file: folder, index, name
        for path in self._paths:
            if not path:
                continue
            above, _, name = path.rpartition("/")
            encoded = os.fsencode(name)
            if len(encoded) > _LONGEST_NAME:
                raise StageError(
                    f"/{shown(path)}: its name has more than {_LONGEST_NAME} bytes", "Give it a shorter one."
                )
            siblings = self._below[above]
            siblings.append(path)
            index = len(siblings) - 1 + _FIRST_INDEX
            if path in below:
                self.places[below[path]] = Place(root, self._numbers[above], index, encoded)
                continue
            self._names[self.number(path)].append((self._numbers[above], index, encoded))

    def number(self, path: str) -> int:
        """Return the inode of a path; a hard link's is that of its file."""
        entry = self._tree[path][1]
        return self._numbers[entry.link if entry.type == "h" else path]

    def items(self, crc32c: Crc32c) -> Iterator[Item]:
        """Yield all items, and write files' data meanwhile. Raises NoSpace, StageError."""
        with ExitStack() as stack:
            files: dict[int, int] = {}
            for path, number in self._numbers.items():
                source, entry = self._tree[path]
                if entry.type == "f" and source not in files:
                    files[source] = stack.enter_context(self._sources[source].open("rb")).fileno()
                yield from self._file(path, number, entry, files.get(source, -1), crc32c)

    def _file(self, path: str, number: int, entry: Entry, file: int, crc32c: Crc32c) -> Iterator[Item]:
        names = self._names[number]
        if len(names) > _MOST_LINKS:
            raise StageError(f"/{shown(path)} has more than {_MOST_LINKS} names", "btrfs counts no more of one file.")
        size, taken, data = entry.size if entry.type == "f" else 0, 0, list[Item]()
        if entry.type == "f":
            data = list(self._contents(number, entry, Data(file, entry)))
            taken = sum(each.data[20] and _length(each) for each in data) or (size if size <= space.INLINE else 0)
        elif entry.type == "l":
            target = os.fsencode(entry.link)
            size = taken = len(target)
            data = [_inline(number, target)]
        elif entry.type == "d":
            size = 2 * sum(len(os.fsencode(each.rpartition("/")[2])) for each in self._below.get(path, ()))
        yield Item(Key(number, ondisk.INODE_ITEM, 0), inode(
            ondisk.MODES[entry.type] | entry.mode, self._epoch, size=size, taken=taken, links=max(1, len(names)),
            owner=(entry.uid, entry.gid), device=entry.major << 20 | entry.minor,
        ))  # fmt: skip
        if number == FIRST:
            yield Item(Key(FIRST, ondisk.INODE_REF, FIRST), struct.pack("<QH", 0, 2) + b"..")
        yield from self._references(number, names, crc32c)
        yield from self._attributes(path, number, entry, crc32c)
        if entry.type == "d":
            yield from self._folder(path, number, crc32c)
        yield from data

    @staticmethod
    def _references(number: int, names: list[tuple[int, int, bytes]], crc32c: Crc32c) -> Iterator[Item]:
        """Yield what leads from a file to its names: of a folder with too many of them, the rest one by one."""
        near: dict[int, bytes] = {}
        far: dict[int, bytes] = {}
        for folder, index, name in names:
            told = struct.pack("<QH", index, len(name)) + name
            if len(near.get(folder, b"")) + len(told) <= ondisk.LARGEST:
                near[folder] = near.get(folder, b"") + told
            else:
                place = crc32c(folder & ONES, name)
                far[place] = far.get(place, b"") + struct.pack("<QQH", folder, index, len(name)) + name
        for folder in sorted(near):
            yield Item(Key(number, ondisk.INODE_REF, folder), near[folder])
        for place in sorted(far):
            yield Item(Key(number, ondisk.INODE_EXTREF, place), far[place])

    @staticmethod
    def _attributes(path: str, number: int, entry: Entry, crc32c: Crc32c) -> Iterator[Item]:
        found: dict[int, bytes] = {}
        for name, value in sorted(entry.xattrs.items()):
            encoded = os.fsencode(name)
            place = name_hash(encoded, crc32c)
            head = ondisk.DIR_ENTRY.pack(*_NO_KEY, GENERATION, len(value), len(encoded), ondisk.XATTR)
            found[place] = found.get(place, b"") + head + encoded + value
            if len(found[place]) > ondisk.LARGEST:
                raise StageError(
                    f"/{shown(path)}: its attribute {shown(name)} is larger than the {ondisk.LARGEST} bytes of btrfs",
                    "Remove it, or write fs: ext4.",
                )
        for place in sorted(found):
            yield Item(Key(number, ondisk.XATTR_ITEM, place), found[place])

    def _folder(self, path: str, number: int, crc32c: Crc32c) -> Iterator[Item]:
        hashed: dict[int, bytes] = {}
        ordered = []
        for each in self._below.get(path, ()):
            name = os.fsencode(each.rpartition("/")[2])
            entry = self._tree[each][1]
            kind = self._tree[entry.link][1].type if entry.type == "h" else entry.type
            if each in self._subvolumes:
                key = Key(self._subvolumes[each], ondisk.ROOT_ITEM, ondisk.ANY)
            else:
                key = Key(self.number(each), ondisk.INODE_ITEM, 0)
            told = named(key, name, ondisk.KINDS[kind])
            place = name_hash(name, crc32c)
            hashed[place] = hashed.get(place, b"") + told
            ordered.append(told)
        for place in sorted(hashed):
            yield Item(Key(number, ondisk.DIR_ITEM, place), hashed[place])
        for index, told in enumerate(ordered, _FIRST_INDEX):
            yield Item(Key(number, ondisk.DIR_INDEX, index), told)

    def _contents(self, number: int, entry: Entry, data: Data) -> Iterator[Item]:
        if 0 < entry.size <= space.INLINE:
            yield _inline(number, data.read(0, entry.size))
        for begin, length in space.extents(entry):
            at, left = begin, length
            while left:
                size = min(left, self._data.room())
                address = self._data.put(data, at, size, entry.size)
                self._data.extents.append(Extent(address, size, self._root, number, at))
                told = ondisk.EXTENT.pack(GENERATION, size, 0, 0, 0, ondisk.REGULAR, address, size, 0, size)
                yield Item(Key(number, ondisk.EXTENT_DATA, at), told)
                at, left = at + size, left - size


def inode(
    mode: int,
    epoch: int,
    *,
    size: int = 0,
    taken: int = 0,
    links: int = 1,
    owner: tuple[int, int] = (0, 0),
    device: int = 0,
) -> bytes:
    """Return an inode; `taken` are the bytes of its data, `device` is as Linux has it: twenty bits of minor."""
    times = 4 * (epoch, 0)
    return ondisk.INODE.pack(GENERATION, GENERATION, size, taken, 0, links, *owner, mode, device, 0, 0, *times)


def named(key: Key, name: bytes, kind: int) -> bytes:
    """Return what a folder says of a name in it."""
    return ondisk.DIR_ENTRY.pack(*key, GENERATION, 0, len(name), kind) + name


def name_hash(name: bytes, crc32c: Crc32c) -> int:
    """Return the number by which a name is looked for."""
    return crc32c(0xFFFFFFFE, name)


def _inline(number: int, data: bytes) -> Item:
    head = ondisk.INLINE.pack(GENERATION, len(data), 0, 0, 0, ondisk.INLINE_DATA)
    return Item(Key(number, ondisk.EXTENT_DATA, 0), head + data)


def _length(item: Item) -> int:
    length: int = ondisk.EXTENT.unpack(item.data)[-1]
    return length
