"""Moving blocks between files without moving their holes: sparse copies, splices, and making one file equal another."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
_ZEROS = bytes(CHUNK)
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_REFUSALS = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM}


def data_runs(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, end) of what is data, not hole, between two offsets of a file."""
    at = start
    while at < end:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            raise
        if at >= end:
            return
        hole = min(os.lseek(fd, at, os.SEEK_HOLE), end)
        yield at, hole
        at = hole


def copy(source: int, source_at: int, target: int, target_at: int, length: int) -> None:
    """Copy bytes from one open file into another, holes left out: there the target must hold zeros already."""
    shift = target_at - source_at
    for start, end in data_runs(source, source_at, source_at + length):
        _copy_run(source, start, target, start + shift, end - start)


def _copy_run(source: int, source_at: int, target: int, target_at: int, length: int) -> None:
    in_kernel = True
    while length:
        if in_kernel:
            try:
                done = os.copy_file_range(source, target, length, source_at, target_at)
            except OSError as error:
                if error.errno not in _REFUSALS:
                    raise
                in_kernel = False  # other file systems, or a kernel that cannot
                continue
            if not done:  # some kernels answer 0 for files of special file systems
                in_kernel = False
                continue
        else:
            chunk = os.pread(source, min(length, CHUNK), source_at)
            if not chunk:
                raise EOFError("the source ended early")
            done = write(target, chunk, target_at)
        source_at += done
        target_at += done
        length -= done


def write(fd: int, data: bytes | bytearray | memoryview[Any], at: int) -> int:
    """Write all of `data` at an offset; return its length."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view = view[done:]
        at += done
    return len(data)


def copy_file(source: Path, target: Path) -> None:
    """Make a new file with the content of another, as sparse as that one."""
    with source.open("rb") as old, target.open("xb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        copy(old.fileno(), 0, new.fileno(), 0, size)


def reproduce(source: Path, target: Path, previous: Path | None) -> None:
    """Make `target` a copy of `source`: out of the file `previous` where there is one, writing only what differs."""
    if previous is None:
        copy_file(source, target)
        return
    with source.open("rb") as wanted, previous.open("r+b") as old:
        os.truncate(old.fileno(), os.fstat(wanted.fileno()).st_size)
        make_equal(wanted.fileno(), old.fileno())
    previous.rename(target)


def make_equal(source: int, target: int, *, target_at: int = 0, start: int = 0, end: int | None = None) -> int:
    """Make a stretch of an open file equal to the bytes from `start` to `end` of another; return how many it wrote.

    What stands at `target_at` corresponds to the source's first byte. Only chunks that differ are written, and where
    the source has a hole, the target gets one. What the target held before does not matter, nor how far it reached.
    """
    if end is None:
        end = os.fstat(source).st_size
    if os.fstat(target).st_size < target_at + end:
        os.truncate(target, target_at + end)
    at, changed = start, 0
    for data, stop in data_runs(source, start, end):
        changed += _empty(target, target_at + at, target_at + data)
        changed += _rewrite(source, data, stop, target, target_at)
        at = stop
    return changed + _empty(target, target_at + at, target_at + end)


def _rewrite(source: int, start: int, stop: int, target: int, target_at: int) -> int:
    # Buffers that stay: a fresh MiB for every read costs five times the reading, in page faults.
    buffers = bytearray(CHUNK), bytearray(CHUNK)
    changed = 0
    while start < stop:
        # whole chunks of the source's own grid, so that a run's first chunk does not shift all others
        length = min(stop, (start // CHUNK + 1) * CHUNK) - start
        wanted, present = buffers if length == CHUNK else (bytearray(length), bytearray(length))
        if os.preadv(source, [wanted], start) != length:
            raise EOFError("the source became shorter while it was read")
        if os.preadv(target, [present], target_at + start) != length or present != wanted:
            write(target, wanted, target_at + start)
            changed += length
        start += length
    return changed


def _empty(target: int, start: int, end: int) -> int:
    """Make a stretch a hole; return how many bytes of it were data."""
    stale = list(data_runs(target, start, end))
    for at, stop in stale:
        punch(target, at, stop - at)
    return sum(stop - at for at, stop in stale)


def punch(fd: int, at: int, length: int) -> None:
    """Turn a stretch of a file into zeros, as a hole where the file system can."""
    if length and not _fallocate(fd, at, length):
        while length:
            length_now = min(length, CHUNK)
            write(fd, _ZEROS[:length_now], at)
            at += length_now
            length -= length_now


def _fallocate(fd: int, at: int, length: int) -> bool:
    call = _libc_fallocate()
    while call is not None and call(fd, _PUNCH_HOLE | _KEEP_SIZE, at, length):
        code = ctypes.get_errno()
        if code in _REFUSALS:
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return call is not None


@cache
def _libc_fallocate() -> Any:
    """Return the C library's fallocate with 64-bit offsets; Python has none that punches holes."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        call.restype = ctypes.c_int
    return call
