"""Locks between processes, on files; who has to wait is told for whom."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bootsmith.cache.errors import CacheError

NOTE = re.compile(rb"pid (\d+): (.*)\n")
_LOCK = "hhqqi4x"  # struct flock of Linux on 64 bits: kind, whence, start, length, process
SHOWN = 200  # bytes of a command line


class FileLock:
    """A flock(2) on `path`: one exclusive holder, or any number of shared ones; gone when its process is.

    The exclusive holder notes itself in the file, unless the file holds something else: any file can be locked, an
    image too, and stays as it is. With `create` off a missing file is an error, and the file is opened read-only.
    Two FileLock objects exclude each other within one process too. The file is never removed: that would let two in.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._create = create
        self._descriptor: int | None = None

    def acquire(
        self, shared: bool = False, blocking: bool = True, waiting: Callable[[str], None] | None = None
    ) -> bool:
        """Take the lock; False when it is held and not `blocking`. Raises CacheError.

        `waiting` is told once who holds it, "pid 123: doit image", before the wait begins.
        """
        if self._descriptor is not None:
            raise RuntimeError(f"{self.path} is locked already, by this very object")
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            while self._descriptor is None:
                if not self._attempt(how, blocking, waiting):
                    return False
                waiting = None
        except OSError as error:
            raise CacheError(
                f"{self.path} cannot be locked: {error.strerror}",
                "Check that its directory exists, may be written, and is on a file system that has locks.",
            ) from error
        return True

    def _attempt(self, how: int, blocking: bool, waiting: Callable[[str], None] | None) -> bool:
        """FileLock what stands at the path now; False when that is held and not `blocking`."""
        descriptor, ours = self._open()
        try:
            if not _try(descriptor, how):
                if not blocking:
                    return False
                if waiting is not None:
                    waiting(_holder(descriptor))
                fcntl.flock(descriptor, how)
            if self._is_current(descriptor):
                if how == fcntl.LOCK_EX:
                    _note(descriptor, ours)
                self._descriptor, descriptor = descriptor, -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return True

    def try_acquire(self, shared: bool = False) -> bool:
        """Take the lock if it is free; tell whether it was. Raises CacheError."""
        return self.acquire(shared, blocking=False)

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def is_used(self) -> bool:
        """Tell whether somebody holds a lock of fcntl(2) on the file that is held here, as QEMU does on its images.

        flock(2) knows nothing of these. Our own processes have none.
        """
        assert self._descriptor is not None, "it is held"
        return is_used(self._descriptor)

    def release(self) -> None:
        """Let others have it; does nothing where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Hold the lock, exclusively unless it was acquired before."""
        if self._descriptor is None:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open(self) -> tuple[int, bool]:
        """Return a descriptor, and whether the file was made here and now."""
        if not self._create:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC), False
        with contextlib.suppress(FileExistsError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), True
        try:
            return os.open(self.path, os.O_RDWR | os.O_CLOEXEC), False  # NFS locks exclusively only what it may write
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ETXTBSY):
                raise
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC), False

    def _is_current(self, descriptor: int) -> bool:
        """Tell whether what was locked still stands at the path: it may have been replaced during the wait."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


def is_used(descriptor: int) -> bool:
    """Tell whether another open file holds a lock of fcntl(2) on any byte of a file; no lock is taken.

    QEMU has one byte from 100 on for each thing that it does, from 200 on for each that nobody else may do
    (`RAW_LOCK_PERM_BASE` in block/file-posix.c).
    """
    whole = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    for ask in (fcntl.F_OFD_GETLK, fcntl.F_GETLK):  # the latter where a kernel has but the old kind
        with contextlib.suppress(OSError):
            return bool(struct.unpack(_LOCK, fcntl.fcntl(descriptor, ask, whole))[0] != fcntl.F_UNLCK)
    return False  # no locks on this file system


def _note(descriptor: int, ours: bool) -> None:
    if not ours and not NOTE.fullmatch(os.pread(descriptor, 2 * SHOWN, 0)):
        return  # somebody's content: not ours to write
    command = _command([os.fsencode(word) for word in sys.argv])
    with contextlib.suppress(OSError):  # a full disk, or read-only: the lock holds without a note
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"pid %d: %s\n" % (os.getpid(), command), 0)


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    """Name who holds the file's lock, as well as can be found out."""
    note = NOTE.fullmatch(os.pread(descriptor, 2 * SHOWN, 0))
    process = _process(os.fstat(descriptor))
    if note and process in (None, int(note[1])):  # None: in another container, or /proc/locks names another device
        return note[0].decode("utf-8", "replace").rstrip("\n")
    if process is None:
        return "another process"
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return f"pid {process}"
    return f"pid {process}: {_command(words).decode('utf-8', 'replace')}"


def _command(words: list[bytes]) -> bytes:
    """Return a command line as a person would write it, on one line."""
    if len(words) > 1 and _name(words[0]).startswith(b"python") and not words[1].startswith(b"-"):
        words = words[1:]  # the script is what was called
    if words:
        words = [_name(words[0]), *words[1:]]
    return b" ".join(words).replace(b"\n", b" ")[:SHOWN]


def _process(status: os.stat_result) -> int | None:
    """Return the process that the kernel says holds a lock on a file, if it says."""
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:  # proc_locks(5): "1: FLOCK  ADVISORY  WRITE 2051 fe:00:2099279 0 EOF"; "1: -> FLOCK" waits
        words = line.split()
        if words[1] == "FLOCK" and words[5] == file and words[4].isdecimal() and words[4] != "0":
            return int(words[4])
    return None


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
