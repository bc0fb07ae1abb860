"""What the stats of files and folders say together: whether anything was written between two looks at them.

Contents can be what they were before, and have been something else in between: an edit and its undo. Times tell.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Sequence

from bootsmith.cache.files import clock
from xxhash import xxh3_128

NAME = struct.Struct("<IQQQqqq")  # length of the name, device, inode, mode, size, mtime, ctime; then the name

LENGTHS = struct.Struct("<QQ")


class Stats:
    """The stats of all that was looked at, in the order it was; `marked` is when any later change shows in them."""

    def __init__(self) -> None:
        self._total = xxh3_128()
        self.marked = 0

    def add(self, name: bytes, status: os.stat_result) -> None:
        """Take in a file or folder. A folder's inode does not count: on an overlayfs it may change by itself."""
        file = (0, 0) if stat.S_ISDIR(status.st_mode) else (status.st_dev, status.st_ino)
        times = status.st_mtime_ns, status.st_ctime_ns
        self._total.update(NAME.pack(len(name), *file, status.st_mode, status.st_size, *times) + name)
        self.marked = max(self.marked, clock.marked(status))

    def add_folder(self, names: bytes, rows: bytes, changed: Sequence[int]) -> None:
        """Take in a folder at once: its path and the names in it, all that counts of their stats, and all ctimes."""
        self._total.update(LENGTHS.pack(len(names), len(rows)) + names)
        self._total.update(rows)
        self.marked = max(self.marked, clock.last_marked(changed))

    def look(self, paths: Iterable[str | bytes | os.PathLike[str]]) -> None:
        """Take in files that links may lead to: each link, and what it leads to; or that there is none."""
        for path in paths:
            name = os.fsencode(path)
            for follow in (False, True):
                try:
                    self.add(name, os.stat(name, follow_symlinks=follow))  # noqa: PTH116  bytes
                except OSError:
                    self._total.update(name + b"\0")

    @property
    def digest(self) -> bytes:
        return self._total.digest()
