"""A disk image's content, and a raw one's, which is read where it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """A disk image's content."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the disk, fewer at its end, none beyond it."""
        ...

    def part(self, start: int, size: int) -> contextlib.AbstractContextManager[tuple[Path | int, int]]:
        """Yield a file, by number where it has no name, and the offset in it where that stretch of the disk begins."""
        ...


@contextlib.contextmanager
def descriptor(disk: Disk, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield an open file, and the offset in it where a stretch of a disk begins."""
    with disk.part(start, size) as (file, offset):
        if isinstance(file, int):
            yield file, offset
        else:
            with file.open("rb") as opened_file:
                yield opened_file.fileno(), offset


@dataclass(frozen=True, slots=True)
class RawDisk:
    """A raw image, open; `path` is None where the file has no name."""

    fd: int
    size: int
    path: Path | None

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.fd, length, offset) if 0 <= offset < self.size and length > 0 else b""

    @contextlib.contextmanager
    def part(self, start: int, size: int) -> Iterator[tuple[Path | int, int]]:  # noqa: ARG002  all of it is there
        yield self.path or self.fd, start


@contextlib.contextmanager
def opened_raw(image: Path) -> Iterator[RawDisk]:
    """Yield a raw image's content."""
    with image.open("rb") as file:
        yield RawDisk(file.fileno(), os.fstat(file.fileno()).st_size, image)
