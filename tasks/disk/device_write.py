"""An image written to a disk: every byte of it, what it has none for too, then read back.

The first megabyte, where tables and boot code are, is blanked first and written last: a disk on which this was
interrupted has no partitions, starts nothing, and is not taken for what it is not. Where the image has holes the disk
gets zeros, by its own means where it has some. Behind the image the disk keeps what was there, but for its last
megabyte, where backups of older tables and labels of arrays may be.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.disk.patch import Patch
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.disk.target import Target

HEAD: Final = 1 << 20
_CHUNK: Final = 1 << 20
_BLOCK: Final = 4096
_STEP: Final = 64 << 20  # bytes after which what was written is waited for, so that progress tells the disk's own speed
_BLKZEROOUT, _BLKFLSBUF = 0x127F, 0x1261  # linux/fs.h
_EVERY: Final = 0.5  # seconds between two words about progress


@dataclass(frozen=True, slots=True)
class Image:
    """What is written: an open file, the bytes of it that are, and what of them is replaced."""

    file: int
    size: int
    patches: tuple[Patch, ...] = ()

    def read(self, at: int, length: int) -> bytes:
        """Return a stretch as it is to be on the disk. Raises StageError."""
        data = os.pread(self.file, length, at)
        if len(data) != length:
            raise StageError("the image became shorter while it was written", "Write it again.")
        for each in self.patches:
            start, stop = max(each.at, at), min(each.at + len(each.data), at + length)
            if start < stop:
                data = data[: start - at] + each.data[start - each.at : stop - each.at] + data[stop - at :]
        return data


def write(image: Image, target: int, about: Target, say: Callable[[str], None]) -> None:
    """Write an image to an open target that it fits, and read it back. Raises StageError."""
    head = min(HEAD, image.size)
    progress = _Progress("written", image.size, say)
    _zero(target, about, 0, head)
    _zero(target, about, max(image.size, about.size - HEAD), about.size)
    at = head
    for start, stop in _data(image, head):
        _zero(target, about, at, start, progress)
        _copy(image, target, start, stop, progress)
        at = stop
    _zero(target, about, at, image.size, progress)
    for each in image.patches:
        if each.at + len(each.data) > head:
            sparse.write(target, each.data[max(0, head - each.at) :], max(each.at, head))
    os.fsync(target)
    sparse.write(target, image.read(0, head), 0)
    os.fsync(target)
    _read_back(image, target, about, say)


def _data(image: Image, start: int) -> Iterator[tuple[int, int]]:
    """Yield what of an image holds data, in whole blocks: what a disk zeroes by itself is whole sectors."""
    pending: tuple[int, int] | None = None
    for first, stop in sparse.extents(image.file, start, image.size):
        piece = max(start, first - first % _BLOCK), min(image.size, -(-stop // _BLOCK) * _BLOCK)
        if pending and piece[0] <= pending[1]:
            pending = pending[0], max(pending[1], piece[1])
            continue
        if pending:
            yield pending
        pending = piece
    if pending:
        yield pending


def _copy(image: Image, target: int, start: int, stop: int, progress: _Progress) -> None:
    waited = start
    while start < stop:
        length = min(_CHUNK, stop - start)
        sparse.write(target, image.read(start, length), start)
        start += length
        if start - waited >= _STEP:
            os.fdatasync(target)
            waited = start
        progress.reach(start)


def _zero(target: int, about: Target, start: int, end: int, progress: _Progress | None = None) -> None:
    """Make a stretch read as zeros: by the disk itself where it can, else by writing them."""
    for at in range(start, end, _STEP):
        length = min(_STEP, end - at)
        if not about.block:
            sparse.punch(target, at, length)
        else:
            try:
                fcntl.ioctl(target, _BLKZEROOUT, struct.pack("=QQ", at, length))
            except OSError:
                sparse.write(target, bytes(length), at)
        if progress:
            progress.reach(at + length)


def _read_back(image: Image, target: int, about: Target, say: Callable[[str], None]) -> None:
    """Compare all that is defined with what the target has now, not what this host remembers. Raises StageError."""
    if about.block:
        fcntl.ioctl(target, _BLKFLSBUF, 0)
    os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
    progress = _Progress("read back", image.size, say)
    for at in range(0, image.size, _CHUNK):
        length = min(_CHUNK, image.size - at)
        wanted, found = image.read(at, length), os.pread(target, length, at)
        if wanted != found:
            byte = at + next((i for i, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]), 0)
            raise StageError(
                f"{about.path} does not hold what was written: byte {byte} is another",
                "It is damaged, smaller than it says, or somebody else writes to it: nothing on it can be trusted.",
            )
        progress.reach(at + length)
    for each in image.patches:
        beyond = each.data[max(0, image.size - each.at) :]
        if os.pread(target, len(beyond), max(each.at, image.size)) != beyond:
            raise StageError(f"{about.path} does not hold the table's backup at its end", "The disk is damaged.")


class _Progress:
    """Says how far something is, how fast, and how long it still takes."""

    def __init__(self, what: str, total: int, say: Callable[[str], None]) -> None:
        self._what, self._total, self._say = what, total, say
        self._began = self._told = time.monotonic()

    def reach(self, at: int) -> None:
        now = time.monotonic()
        if now - self._told < _EVERY:
            return
        self._told = now
        rate = at / (now - self._began)
        left = (self._total - at) / rate if rate else 0
        self._say(f"{human(at)} of {human(self._total)} {self._what}, {human(int(rate))}/s, {left:.0f} s left")
