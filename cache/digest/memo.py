"""What files were last seen to hold, by their stat: an unchanged file need not be read again. Trees: tree_memo.py."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from bootsmith.cache.digest.tree_memo import Kept, TreeMemos
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock, sealed
from bootsmith.cache.files.lock import FileLock

KIND = "memo 2"
HEAD = struct.Struct("<36sqI")  # boot id, the clock's offset when the entries were made, how many mounts follow
MOUNT = struct.Struct("<QQ")  # device, id of a mount of it
FILE = struct.Struct("<QQ")  # device, inode
STAT = struct.Struct("<qqq")  # size, mtime, ctime
LINE = struct.Struct("<16s40s")  # FILE, then STAT and digest
Mounts: TypeAlias = "dict[int, frozenset[int]]"
"""Of each device that may be exchanged, and has entries, the mounts that there were all the time."""
LIMIT = 16_384  # entries kept whether or not this process used them: about 2 ms of loading


class Memo:
    """Fingerprints by stat, kept in one file. Threads may share one; processes may write the same file.

    An entry is trusted only in the boot it was made in, only while nobody sets the clock back, only while what may be
    exchanged for another file system stays mounted, and is made only of files that had rested when they were read (git
    calls the others racily clean). A memo that is lost, damaged or cannot be written costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._offset, _ = clock.offset()
        self._set_back = 0  # how often
        self._trees = TreeMemos(path.with_name(f"{path.name}.trees"))
        self._entries, self._mounts = self._load()
        self._new: dict[bytes, bytes] = {}
        self._used: dict[bytes, bytes] = {}
        self._devices = set(self._mounts)

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
            if status.st_dev not in self._devices:
                self._meet(status.st_dev)
            self._offset = max(self._offset, clock.offset()[0])
            self._entries[file] = self._new[file] = self._used[file] = entry

    # -- trees

    def times(self) -> int:
        """Return what changes whenever the clock is set back."""
        self._forget_if_set_back()
        return self._set_back

    def known_of(self, root: bytes) -> Mapping[bytes, Kept]:
        """Return what is known of the folders of a tree."""
        return self._trees.recall(root)

    def note_tree(self, root: bytes, folders: dict[bytes, Kept], devices: set[int]) -> None:
        """Note what a tree holds, that was looked at under this clock."""
        with self._mutex:
            self._offset = max(self._offset, clock.offset()[0])
            self._trees.note(root, folders, devices)

    # -- keeping

    def save(self) -> None:
        """Keep what was noted, beside what other processes noted meanwhile."""
        with self._mutex:
            self._trees.save(self._offset)
            if not self._new or not clock.boot_id():
                return
            try:
                with FileLock(self.path.with_name(f"{self.path.name}.lock")):
                    theirs, there = self._load()
                    ours, here = _still_mounted(self._new, self._mounts)
                    entries = theirs | ours
                    if len(entries) > max(LIMIT, 4 * len(self._used)):
                        entries, _ = _still_mounted(self._used, self._mounts)
                    pairs = [MOUNT.pack(device, each) for device, ids in (there | here).items() for each in ids]
                    head = HEAD.pack(clock.boot_id().encode(), self._offset, len(pairs))
                    body = b"".join([*pairs, *(file + entry for file, entry in entries.items())])
                    sealed.write(self.path, KIND, head + body)
            except (CacheError, OSError):
                return  # no room, or not allowed to: the next run reads the files again
            self._entries = entries
            self._new = {}

    def _load(self) -> tuple[dict[bytes, bytes], Mounts]:
        body = sealed.read(self.path, KIND)
        if body is None:
            return {}, {}
        boot, offset, count = HEAD.unpack_from(body)
        if boot.decode() != clock.boot_id() or _is_set_back(offset):
            return {}, {}
        self._offset = max(self._offset, offset)
        begin = HEAD.size + count * MOUNT.size
        known: Mounts = {}
        for device, mount in MOUNT.iter_unpack(memoryview(body)[HEAD.size : begin]):
            known[device] = known.get(device, frozenset()) | {mount}
        return _still_mounted(dict(LINE.iter_unpack(memoryview(body)[begin:])), known)

    def _meet(self, device: int) -> None:
        """Note, of a device that may be exchanged, which mounts there are from the first entry on."""
        from bootsmith.cache.files.mounts import is_exchangeable, mounts

        self._devices.add(device)
        if is_exchangeable(device):
            self._mounts[device] = mounts(device)

    def _forget_if_set_back(self) -> bool:
        """Forget everything when the clock was set back: times seen before may come again."""
        if not _is_set_back(self._offset):
            return False
        with self._mutex:
            self._offset, _ = clock.offset()
            self._set_back += 1
            self._trees.forget()
            for entries in (self._entries, self._new, self._used):
                entries.clear()
        return True


def _still_mounted(entries: dict[bytes, bytes], known: Mounts) -> tuple[dict[bytes, bytes], Mounts]:
    """Return entries but for those of file systems that were unmounted since, and which mounts the others rest on."""
    if not known:
        return entries, known
    from bootsmith.cache.files.mounts import mounts

    there = {device: ids & mounts(device) for device, ids in known.items()}
    gone = {device for device, ids in there.items() if not ids}
    kept = {file: entry for file, entry in entries.items() if FILE.unpack(file)[0] not in gone}
    return kept, {device: ids for device, ids in there.items() if ids}


def _stat(status: os.stat_result) -> bytes:
    return STAT.pack(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_set_back(offset: int) -> bool:
    return clock.offset()[1] < offset
