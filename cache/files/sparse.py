"""Holes in files, and blocks that files share where the file system can: finding, punching, cloning."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

FICLONERANGE = 0x4020940D  # ioctl_ficlonerange(2)
CLONE_RANGE = struct.Struct("=qQQQ")  # source, its offset, length (0: to its end), the target's offset
PUNCH_HOLE = 0x03  # fallocate(2): FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
BUFFER = 1 << 20
NOT_HERE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM)

Buffer: TypeAlias = "bytes | bytearray | memoryview[Any]"


def extents(descriptor: int, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what may hold data between two places of a file or disk; what lies between reads as zeros.

    Moves the descriptor's position. Where the file system does not know its holes, all is data.
    """
    status = os.fstat(descriptor)
    if end is None or (stat.S_ISREG(status.st_mode) and end > status.st_size):
        end = status.st_size
    is_dense = 0 < status.st_size <= status.st_blocks * 512
    while start < end:
        try:
            if is_dense:  # no room for a hole; and no need to trust what the file system says of them
                data, hole = start, end
            else:
                data = os.lseek(descriptor, start, os.SEEK_DATA)
                hole = os.lseek(descriptor, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            data, hole = start, end
        start = min(hole, end)
        if data < start:
            yield data, start


def clone(source: int, start: int, size: int, target: int, position: int) -> bool:
    """Let `target` share `size` bytes of `source`'s blocks; False where these two files cannot. Raises OSError.

    The file systems that can want whole blocks, or all up to the source's end.
    """
    to_end = start + size == os.fstat(source).st_size
    try:
        fcntl.ioctl(target, FICLONERANGE, CLONE_RANGE.pack(source, start, 0 if to_end else size, position))
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        return False
    return True


def punch(descriptor: int, start: int, size: int) -> None:
    """Let a stretch of a file read as zeros, and take no room where the file system can. Raises OSError."""
    if size and not _punch(descriptor, start, size):
        blank = memoryview(bytes(min(BUFFER, size)))
        for position in range(start, start + size, BUFFER):
            write(descriptor, blank[: start + size - position], position)


def _punch(descriptor: int, start: int, size: int) -> bool:
    from ctypes import get_errno

    call = _fallocate()
    while call is not None and call(descriptor, PUNCH_HOLE, start, size):
        code = get_errno()
        if code in NOT_HERE:
            return False
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
    return call is not None


@cache
def _fallocate() -> Any:
    """Return the C library's fallocate with 64-bit offsets, if it has one; Python's own punches no holes."""
    from ctypes import CDLL, c_int, c_int64

    libc = CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", None) or getattr(libc, "fallocate", None)  # musl's only one takes 64 bits
    if call is not None:
        call.argtypes = (c_int, c_int, c_int64, c_int64)
        call.restype = c_int
    return call


def write(target: int, data: Buffer, start: int) -> int:
    """Write all of `data` at `start`; return its length in bytes. Raises OSError."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.pwrite(target, view[done:], start + done)
    return done
