"""The files of a read-only filesystem that somebody else made, on their way into a tar: one shape for each kind.

Nothing of it is mounted, and none of it is run: the bytes are read here. What they say is not trusted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import foreign_tar, layer
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.sparse_member import MOST, Stretches
from bootsmith.tasks.tree.tar import Entry

MOST_FILES: Final = 10_000_000
DEEPEST: Final = tars.LONGEST // 2
TYPES: Final = {0o4: "d", 0o10: "f", 0o12: "l", 0o2: "c", 0o6: "b", 0o1: "p", 0o14: "s"}
"""Of the upper four bits of a mode (inode(7))."""


class Damaged(Exception):
    """An image says what cannot be; the message says what."""


class VolumeFile(NamedTuple):
    """A file of an image: its entry, and what yields its data in order, without the holes that the entry tells."""

    entry: Entry
    data: Callable[[], Iterator[bytes]] | None = None


def write(image: Path, files: Iterator[VolumeFile], tar: Path, index: Path) -> list[str]:
    """Write the files of an image as a tar and its index; return the sockets, which are left out. Raises StageError."""
    try:
        found = sorted(files, key=lambda each: (each.entry.type == "h", os.fsencode(each.entry.path).split(b"/")))
    except Damaged as error:
        raise _damaged(image, error) from error
    sockets = [each.entry.path for each in found if each.entry.type == "s"]
    found = [each for each in found if each.entry.type != "s" and each.entry.link not in sockets]
    settled = foreign_tar.settled([each.entry for each in found], tar)
    written = []
    with tar.open("wb", 1 << 20) as out:
        for entry, source in zip(settled, found, strict=True):
            out.write(tars.header(entry))
            if entry.type != "f":
                written.append(entry)
                continue
            written.append(entry._replace(offset=out.tell()))
            left = entry.stored
            try:
                for piece in source.data() if source.data else ():
                    left -= len(piece)
                    out.write(piece)
            except Damaged as error:
                raise _damaged(image, error, entry) from error
            if left:
                raise _damaged(image, Damaged("its data is not as long as it says"), entry)
            out.write(bytes(-entry.stored % tars.BLOCK))
        out.write(tars.END)
    layer.write_index(index, written)
    return sockets


def _damaged(image: Path, error: Damaged, entry: Entry | None = None) -> StageError:
    where = f": /{shown(entry.path)}" if entry else ""
    return StageError(f"{shown(image)} cannot be read{where}: {error}", "Copy or make it again.")


def child(folder: str, name: bytes) -> str:
    """Return the path of a name in a folder. Raises Damaged for what is no name, or where the path is too long."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise Damaged(f"a file is called {shown(os.fsdecode(name))}")
    if name.startswith(os.fsencode(layer.WHITEOUT)):
        what = "by which layers say that a file is removed"
        raise Damaged(f"/{shown(f'{folder}/{os.fsdecode(name)}'.lstrip('/'))} has a name {what}")
    path = f"{folder}/{os.fsdecode(name)}".lstrip("/")
    if len(os.fsencode(path)) > tars.LONGEST:
        raise Damaged(f"a path is longer than the {tars.LONGEST} bytes that Linux takes")
    return path


def link(data: bytes) -> str:
    """Return a symlink's target. Raises Damaged."""
    if not data or b"\0" in data or len(data) > tars.LONGEST:
        raise Damaged("a link leads nowhere")
    return os.fsdecode(data)


def device(number: int) -> tuple[int, int]:
    """Return major and minor of a device's number, as Linux packs them into 32 bits (kdev_t.h)."""
    return (number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)


class Holes:
    """Where a file of `size` bytes holds data, told a piece at a time in order."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: list[tuple[int, int]] = []
        self._at = 0
        self._sparse = False

    def data(self, length: int) -> None:
        """Go on by so many bytes of data."""
        length = min(length, self._size - self._at)
        if self._rows and sum(self._rows[-1]) == self._at:
            self._rows[-1] = (self._rows[-1][0], self._rows[-1][1] + length)
        elif length:
            if len(self._rows) == MOST:
                raise Damaged(f"a file has more than {MOST} holes")
            self._rows.append((self._at, length))
        self._at += length

    def hole(self, length: int) -> None:
        """Go on by so many bytes that nobody wrote."""
        self._sparse = True
        self._at = min(self._at + length, self._size)

    def stretches(self) -> Stretches | None:
        """Return where data is, None where there is no hole."""
        return tuple(self._rows) if self._sparse else None
