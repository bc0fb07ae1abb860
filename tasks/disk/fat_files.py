"""The files in a FAT filesystem, read out of a plain file: no mount, no root, and no trust.

Microsoft, FAT specification 1.03. Every number may be a lie: what leads nowhere or round in circles is a StageError. A
FAT knows no owners and no modes: all is root's, as Linux shows it by default. Its times, which have no zone, are UTC.
"""

from __future__ import annotations

import os
import struct
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

from bootsmith.cache.display import shown
from bootsmith.tasks.disk import superblock
from bootsmith.tasks.disk.node import WINDOW, Extent, Node
from bootsmith.tasks.errors import StageError

_ENTRY = 32
_LONG_NAME = 0x0F
_VOLUME, _DIRECTORY, _READ_ONLY = 0x08, 0x10, 0x01
_DELETED, _KANJI = 0xE5, 0x05
_LOWER_STEM, _LOWER_SUFFIX = 0x08, 0x10
_LAST = 0x40  # of a long name's pieces, the first that is met
_MOST_ENTRIES: Final = 65536  # of a directory (the specification, section 6)
_MOST_PIECES: Final = 20
_MOST_FILES: Final = 1_000_000
_MOST_CHAINS: Final = 64  # that are remembered
_WINDOW: Final = 1 << 16
_CODEPAGE = "cp437"
_NS = 1_000_000_000


class FatFiles:
    """A FAT filesystem: `size` bytes from `start` of an open file; `path` is what messages call it."""

    unclean = False

    def __init__(self, path: Path, fd: int, start: int, size: int) -> None:
        self.path = path
        self._fd, self._start, self._length = fd, start, size
        found = superblock.fat_geometry(self._pread)
        if found is None:
            self._damaged("it has no boot sector")
        if found.size > size:
            self._damaged("it is cut short")
        self._geometry = found
        self._windows: dict[int, bytes] = {}
        self._chains: dict[int, tuple[int, tuple[Extent, ...]]] = {}

    def _pread(self, at: int, length: int) -> bytes:
        return os.pread(self._fd, max(0, min(length, self._length - at)), self._start + at)

    def _damaged(self, what: str) -> NoReturn:
        raise StageError(f"the filesystem in {self.path} is damaged: {what}", "`fsck.vfat -n` tells more.")

    # -- the tree

    @property
    def root(self) -> Node:
        """The directory that all others lie in."""
        return self._directory(self._geometry.root_cluster, 0o755, 0)

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        seen: set[bytes] = set()
        pieces: list[bytes] = []
        data = self.read(node, 0, node.size)
        for at in range(0, len(data) - _ENTRY + 1, _ENTRY):
            raw = data[at : at + _ENTRY]
            if raw[0] == 0:
                return
            attributes = raw[11]
            if raw[0] == _DELETED:
                pieces = []
            elif attributes & 0x3F == _LONG_NAME:
                pieces = [raw] if raw[0] & _LAST else [*pieces, raw]
            elif attributes & _VOLUME:
                pieces = []
            else:
                name = _long_name(pieces, raw[:11]) or _short_name(raw)
                pieces = []
                if raw[:11] in (b".          ", b"..         "):
                    continue
                if name in seen or name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
                    self._damaged(f"the directory /{shown(path)} holds the name {name!r}")
                seen.add(name)
                high, clock, date, low, size = struct.unpack_from("<HHHHI", raw, 20)
                first = low | (high << 16 if self._geometry.bits == 32 else 0)
                yield name, self._node(attributes, first, size, _time(date, clock))

    def walk(self, into: Callable[[bytes], bool] = lambda _: True) -> Iterator[tuple[bytes, Node]]:
        """Yield every file and directory by its path, folders before what they hold; only what is `into` is entered."""
        waiting = [(b"", self.root)]
        met = {self.root.inode}
        count = 0
        while waiting:
            above, folder = waiting.pop()
            for name, node in self.children(above, folder):
                path = above + b"/" + name if above else name
                count += 1
                if count > _MOST_FILES:
                    self._damaged(f"it has more than {_MOST_FILES} files")
                yield path, node
                if node.kind == "d" and into(path):
                    if node.inode in met:
                        self._damaged(f"the directory /{shown(path)} has two names")
                    met.add(node.inode)
                    waiting.append((path, node))

    def _node(self, attributes: int, first: int, size: int, mtime: int) -> Node:
        mode = 0o555 if attributes & _READ_ONLY else 0o755
        if attributes & _DIRECTORY:
            return self._directory(first, mode, mtime)
        return Node(first, "f", mode, 0, 0, size, mtime)

    def _directory(self, first: int, mode: int, mtime: int) -> Node:
        if first == 0:  # the root of a small one, which has a place of its own
            return Node(0, "d", mode, 0, 0, self._geometry.root_entries * _ENTRY, mtime)
        most = -(-_MOST_ENTRIES * _ENTRY // self._geometry.cluster)
        extents = self._chain(first, most)
        return Node(first, "d", mode, 0, 0, sum(each.length for each in extents) * self._geometry.cluster, mtime)

    # -- data

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file, or of a directory's entries; fewer at its end."""
        length = max(0, min(length, node.size - offset))
        place = self._geometry
        if node.kind == "d" and not node.inode:
            return self._pread(place.root_at + offset, length)
        out = bytearray()
        for extent in self._chain(node.inode, -(-node.size // place.cluster)) if length else ():
            start = extent.logical * place.cluster
            begin, end = max(offset, start), min(offset + length, start + extent.length * place.cluster)
            if begin < end:
                out += self._pread(place.data_at + (extent.physical - 2) * place.cluster + begin - start, end - begin)
        if len(out) < length:
            self._damaged(f"a file of {node.size} bytes, from cluster {node.inode} on, is cut short")
        return bytes(out)

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that may not be holes: a FAT has none."""
        return set(range(-(-node.size // WINDOW)))

    def _chain(self, first: int, most: int) -> tuple[Extent, ...]:
        """Return the stretches of clusters that begin with this one, up to so many clusters together."""
        known = self._chains.get(first)
        if known is None or known[0] < most:
            if len(self._chains) >= _MOST_CHAINS:
                self._chains.clear()
            known = self._chains[first] = (most, tuple(self._followed(first, most)))
        return known[1]

    def _followed(self, first: int, most: int) -> Iterator[Extent]:
        limit, end = self._geometry.clusters + 2, self._geometry.end
        logical = total = 0
        cluster = start = first
        while total < most:
            if not 2 <= cluster < limit:
                self._damaged(f"there is no cluster {cluster}")
            total += 1
            following = self._next(cluster)
            if following != cluster + 1 or total == most:
                yield Extent(logical, start, total - logical)
                logical, start = total, following
            if following >= end:
                return
            cluster = following

    def _next(self, cluster: int) -> int:
        """Return the cluster that follows, or what marks an end."""
        bits = self._geometry.bits
        at = self._geometry.fat_at + cluster * bits // 8
        number = int.from_bytes(self._of_table(at, 4 if bits == 32 else 2), "little")
        if bits == 12:
            return number >> 4 if cluster & 1 else number & 0xFFF
        return number & 0x0FFFFFFF

    def _of_table(self, at: int, length: int) -> bytes:
        window, offset = divmod(at, _WINDOW)
        if window not in self._windows:
            self._windows[window] = self._pread(window * _WINDOW, _WINDOW + 4)
        found = self._windows[window][offset : offset + length]
        if len(found) < length:
            self._damaged("its table is cut short")
        return found


def _long_name(pieces: list[bytes], short: bytes) -> bytes:
    """Return the name that the entries before a short one spell, as UTF-8; nothing where they do not belong to it."""
    if not pieces or len(pieces) > _MOST_PIECES or [each[0] & 0x3F for each in pieces] != [*range(len(pieces), 0, -1)]:
        return b""
    if any(each[13] != _checksum(short) for each in pieces):
        return b""
    units = b"".join(each[1:11] + each[14:26] + each[28:32] for each in reversed(pieces))
    end = next((at for at in range(0, len(units), 2) if units[at : at + 2] == b"\0\0"), len(units))
    return units[:end].decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")


def _checksum(short: bytes) -> int:
    total = 0
    for byte in short:
        total = ((total & 1) << 7 | total >> 1) + byte & 0xFF
    return total


def _short_name(raw: bytes) -> bytes:
    """Return a name of eight and three letters, in the case that Windows NT and Linux note."""
    stem, suffix = raw[:8].rstrip(b" "), raw[8:11].rstrip(b" ")
    if stem[:1] == bytes([_KANJI]):
        stem = bytes([_DELETED]) + stem[1:]
    if raw[12] & _LOWER_STEM:
        stem = stem.lower()
    if raw[12] & _LOWER_SUFFIX:
        suffix = suffix.lower()
    return (stem + (b"." + suffix if suffix else b"")).decode(_CODEPAGE).encode()


def _time(date: int, clock: int) -> int:
    """Return a time of a directory's entry, in nanoseconds; 1980 where it says none that there is."""
    parts = (1980 + (date >> 9), date >> 5 & 15 or 1, date & 31 or 1, clock >> 11, clock >> 5 & 63, (clock & 31) * 2)
    try:
        return timegm(time.strptime("{} {} {} {} {} {}".format(*parts), "%Y %m %d %H %M %S")) * _NS
    except ValueError:
        return timegm((1980, 1, 1, 0, 0, 0)) * _NS
