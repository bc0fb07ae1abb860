"""What files were last seen to hold, by their stat: an unchanged file need not be read again."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock, sealed
from bootsmith.cache.files.lock import FileLock

KIND = "memo 1"
HEAD = struct.Struct("<36sq")  # boot id, and the clock's offset when the entries were made
FILE = struct.Struct("<QQ")  # device, inode
STAT = struct.Struct("<qqq")  # size, mtime, ctime
LINE = struct.Struct("<16s40s")  # FILE, then STAT and digest
LIMIT = 16_384  # entries kept whether or not this process used them: about 2 ms of loading


class Memo:
    """Fingerprints by stat, kept in one file. Threads may share one; processes may write the same file.

    An entry is trusted only in the boot it was made in, only while nobody sets the clock back, and is made only of
    files that had rested when they were read (git calls the others racily clean). A memo that is lost, damaged or
    cannot be written costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._offset, _ = clock.offset()
        self._entries = self._load()
        self._new: dict[bytes, bytes] = {}
        self._used: dict[bytes, bytes] = {}

    def get(self, status: os.stat_result) -> str | None:
        """Return the fingerprint of the regular file with this stat, where it is known."""
        file = FILE.pack(status.st_dev, status.st_ino)
        entry = self._entries.get(file)
        if entry is None or entry[: STAT.size] != _stat(status) or self._forget_if_set_back():
            return None
        self._used[file] = entry
        return entry[STAT.size :].hex()

    def put(self, status: os.stat_result, digest: str, started_ns: int) -> None:
        """Note what a file holds: `status` as it was before and after reading, which began at `started_ns`.

        A file that had not rested by then is not noted: a later change might leave its times as they are.
        """
        if started_ns <= clock.settled(status) or self._forget_if_set_back():
            return
        file = FILE.pack(status.st_dev, status.st_ino)
        entry = _stat(status) + bytes.fromhex(digest)
        with self._mutex:
            self._offset = max(self._offset, clock.offset()[0])
            self._entries[file] = self._new[file] = self._used[file] = entry

    def save(self) -> None:
        """Keep what was noted, beside what other processes noted meanwhile."""
        with self._mutex:
            if not self._new or not clock.boot_id():
                return
            try:
                with FileLock(self.path.with_name(f"{self.path.name}.lock")):
                    entries = self._load() | self._new
                    if len(entries) > max(LIMIT, 4 * len(self._used)):
                        entries = dict(self._used)
                    body = b"".join([file + entry for file, entry in entries.items()])
                    sealed.write(self.path, KIND, HEAD.pack(clock.boot_id().encode(), self._offset) + body)
            except (CacheError, OSError):
                return  # no room, or not allowed to: the next run reads the files again
            self._entries = entries
            self._new = {}

    def _load(self) -> dict[bytes, bytes]:
        body = sealed.read(self.path, KIND)
        if body is None:
            return {}
        boot, offset = HEAD.unpack_from(body)
        if boot.decode() != clock.boot_id() or _is_set_back(offset):
            return {}
        self._offset = max(self._offset, offset)
        return dict(LINE.iter_unpack(memoryview(body)[HEAD.size :]))

    def _forget_if_set_back(self) -> bool:
        """Forget everything when the clock was set back: times seen before may come again."""
        if not _is_set_back(self._offset):
            return False
        with self._mutex:
            self._offset, _ = clock.offset()
            for entries in (self._entries, self._new, self._used):
                entries.clear()
        return True


def _stat(status: os.stat_result) -> bytes:
    return STAT.pack(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_set_back(offset: int) -> bool:
    return clock.offset()[1] < offset
