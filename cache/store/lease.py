"""Leases: what living processes take from the store, noted where gc looks before it removes anything.

Whoever is about to ask whether something is in the store holds its name first. The note is made while `locks/removal`
is shared; gc removes while it has that lock alone, and reads the notes again each time. So what is noted before a
removal stays, and what is noted after it is seen to be absent: nothing vanishes between "it is there" and its use.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref
from contextlib import suppress
from pathlib import Path

from bootsmith.cache.store.location import PRIVATE

REMOVAL = "locks/removal"
GC = "locks/gc"  # held by the one gc there is, from before it looks at anything to its end
LEASES = "leases"


class Lease:
    """What one process holds of the things in the store below `root`, by name: "blobs/DIGEST", "results/KEY", ...

    Threads share one; a forked child holds nothing of it. It lasts until it is released, or this object or the
    process is gone, however it went. Where nothing can be noted (no room, or not ours to write) gc is kept out
    altogether for as long.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mutex = threading.Lock()
        self._names: set[str] = set()
        self._file: _LeaseFile | None = None
        self._end: weakref.finalize[[], Lease] | None = None
        _LEASES.add(self)

    def hold(self, *names: str) -> None:
        """Keep gc from removing these from now on, there or not. Who writes makes the store's directory before."""
        if all(name in self._names for name in names):
            return
        with self._mutex:
            if self._file is None:
                if not self.root.is_dir():
                    return  # no store: nothing there to be removed
                self._file = _LeaseFile(self.root)
                self._end = weakref.finalize(self, self._file.end)
            self._file.note([name for name in names if name not in self._names])
            self._names.update(names)

    def release(self) -> None:
        """Let gc have what no one else holds."""
        with self._mutex:
            if self._end:
                self._end()
            self._file = self._end = None
            self._names.clear()

    def _forked(self) -> None:
        """Leave the parent what it holds: a lock is shared with children, and would outlive it in them."""
        if self._file and self._end:
            self._end.detach()
            self._file.close()
        self._file = self._end = None
        self._mutex = threading.Lock()
        self._names = set()


_LEASES: weakref.WeakSet[Lease] = weakref.WeakSet()


def _after_fork() -> None:
    for lease in list(_LEASES):
        lease._forked()  # noqa: SLF001  # of this very module


os.register_at_fork(after_in_child=_after_fork)


class _LeaseFile:
    """The open files behind a lease: the note, locked, and the lock it is written under. -1: could not be had."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / LEASES / os.urandom(8).hex()
        self._note = -1
        self._removal = _lock_file(root / REMOVAL)
        self._failed = self._removal < 0

    def note(self, names: list[str]) -> None:
        if self._failed:
            return
        try:
            fcntl.flock(self._removal, fcntl.LOCK_SH)
            self._write("".join(f"{name}\n" for name in names).encode())
            fcntl.flock(self._removal, fcntl.LOCK_UN)
        except OSError:
            self._failed = True  # the lock is kept: nothing is removed while we live

    def _write(self, lines: bytes) -> None:
        if self._note < 0:
            self._path.parent.mkdir(mode=PRIVATE, exist_ok=True)
            self._note = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._note, fcntl.LOCK_EX)
        if os.write(self._note, lines) != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def end(self) -> None:
        """Take the note away, unless a gc is at work: it may have read too early what we finished meanwhile."""
        if self._note >= 0:
            lock = _lock_file(self._root / GC)
            if lock >= 0:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    self._path.unlink(missing_ok=True)
                except OSError:
                    pass  # gc will, when no one holds it any more
                finally:
                    os.close(lock)
        self.close()

    def close(self) -> None:
        for descriptor in (self._note, self._removal):
            if descriptor >= 0:
                os.close(descriptor)
        self._note = self._removal = -1


def _lock_file(path: Path) -> int:
    """Open a file to be locked, made where it is missing; -1 where that cannot be."""
    try:
        path.parent.mkdir(mode=PRIVATE, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        with suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough to share it
    return -1


class Leased:
    """What the leases name, as gc sees them; to be made when gc begins, before it looks at what is there.

    A lease whose process lived then, or came later, counts to the end of gc: what that process finished meanwhile,
    gc may have looked for too early. While this is made, and in `refresh`, `locks/removal` must be gc's alone. With
    `clear` the notes of the dead are removed.
    """

    def __init__(self, root: Path, *, clear: bool = True) -> None:
        self._folder = root / LEASES
        self._read: dict[str, int] = {}  # bytes of each file that were looked at
        self.names: set[str] = set()
        self._dead = {path for path in self._files() if not _is_held(path)}
        if clear:
            for path in self._dead:
                path.unlink(missing_ok=True)

    def refresh(self) -> set[str]:
        """Read what was noted since last time, add it to `names`, and return it."""
        found: set[str] = set()
        for path in set(self._files()) - self._dead:
            try:
                with path.open("rb") as file:
                    file.seek(self._read.get(path.name, 0))
                    lines = file.read()
            except FileNotFoundError:
                continue  # its process ended, and no gc is at work: this only looks
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read[path.name] = self._read.get(path.name, 0) + len(whole)
            found.update(whole.decode("ascii", "replace").splitlines())
        self.names |= found
        return found

    def _files(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except FileNotFoundError:
            return []


def _is_held(path: Path) -> bool:
    """Tell whether a lease's process lives: it may, wherever that cannot be told."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # NFS locks exclusively only what it may write
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
