"""The files in an EROFS, in the shape in which those of every filesystem are looked at.

A packed file has no way into its middle: it is unpacked from its beginning, and who reads on goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import erofs_volume, volume_files
from bootsmith.tasks.tree.erofs_volume import Erofs, Inode
from bootsmith.tasks.tree.image_bytes import ImageBytes
from bootsmith.tasks.tree.lz4 import Unpack
from bootsmith.tasks.tree.volume_files import Damaged

_NS: Final = 1_000_000_000


class ErofsFiles:
    """An EROFS: `size` bytes from `start` of an open file; `path` is what messages call it. Raises StageError."""

    unclean = False

    def __init__(self, path: Path, fd: int, start: int, size: int, load_lz4: Callable[[], Unpack]) -> None:
        self.path = path
        self._inodes: dict[int, Inode] = {}
        self._reading = _Reading(-1, 0, iter(()))
        try:
            self._image = Erofs(ImageBytes(fd, start, size), load_lz4)
        except Damaged as error:
            self._damaged(error)

    def _damaged(self, error: Damaged) -> NoReturn:
        raise StageError(
            f"the filesystem in {self.path} cannot be read: {error}", "`fsck.erofs` tells more."
        ) from error

    @property
    def root(self) -> Node:
        """The directory that all others lie in."""
        try:
            with erofs_volume.within():
                return self._node(self._image.top())
        except Damaged as error:
            self._damaged(error)

    def children(self, path: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
        """Yield what a directory holds, by name; its `path` is for what is said of it."""
        try:
            with erofs_volume.within():
                for number, name in self._image.listed(self._inodes[node.inode]):
                    below = volume_files.child(os.fsdecode(path), name)
                    yield name, self._node(self._image.inode(number, below))
        except Damaged as error:
            self._damaged(error)

    def _node(self, inode: Inode) -> Node:
        entry = inode.entry
        self._inodes[inode.number] = inode
        size = len(os.fsencode(entry.link)) if entry.type == "l" else inode.size
        return Node(
            inode.number, entry.type, entry.mode, entry.uid, entry.gid, size, int(entry.mtime) * _NS,
            os.fsencode(entry.link), (entry.major, entry.minor), entry.xattrs,
        )  # fmt: skip

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that are not holes as a whole."""
        return {
            number
            for at, length in self._stretches(node)
            if length
            for number in range(at // WINDOW, (at + length - 1) // WINDOW + 1)
        }

    def _stretches(self, node: Node) -> tuple[tuple[int, int], ...]:
        stretches = self._inodes[node.inode].entry.stretches
        return ((0, node.size),) if stretches is None else stretches

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file; fewer at its end, and zeros where it has a hole."""
        end = min(offset + length, node.size)
        if end <= offset:
            return b""
        found = bytearray(end - offset)
        before = 0  # bytes of data, holes left out, before a stretch
        try:
            for at, size in self._stretches(node):
                first, last = max(at, offset), min(at + size, end)
                if first < last:
                    found[first - offset : last - offset] = self._data(node.inode, before + first - at, last - first)
                before += size
        except Damaged as error:
            self._damaged(error)
        return bytes(found)

    def _data(self, number: int, at: int, length: int) -> bytes:
        """Return bytes of a file's data, its holes left out. Raises Damaged."""
        if self._reading.number != number or self._reading.at > at:
            self._reading = _Reading(number, 0, self._image.data(self._inodes[number]))
        return self._reading.take(at, length)


class _Reading:
    """A file's data, of which the first `at` bytes were read and are gone."""

    def __init__(self, number: int, at: int, pieces: Iterator[bytes]) -> None:
        self.number, self.at = number, at
        self._pieces = pieces
        self._held = b""

    def take(self, at: int, length: int) -> bytes:
        """Return bytes that lie ahead. Raises Damaged where there are fewer."""
        found = bytearray()
        while len(found) < length:
            if not self._held:
                self._held = next(self._pieces, b"")
                if not self._held:
                    raise Damaged("a file is shorter than it says")
            skipped = min(at - self.at, len(self._held)) if self.at < at else 0
            taken = self._held[skipped : skipped + length - len(found)] if self.at + skipped >= at else b""
            found += taken
            self.at += skipped + len(taken)
            self._held = self._held[skipped + len(taken) :]
        return bytes(found)
