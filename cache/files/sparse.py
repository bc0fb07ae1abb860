"""Holes in files, and blocks that files share where the file system can: finding, punching, cloning."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from functools import cache

FICLONERANGE = 0x4020940D  # ioctl_ficlonerange(2)
CLONE_RANGE = struct.Struct("=qQQQ")  # source, its offset, length (0: to its end), the target's offset
PUNCH_HOLE = 0x03  # fallocate(2): FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
BUFFER = 1 << 20
NOT_HERE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM)


def extents(descriptor: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each stretch that may hold data; what lies between reads as zeros.

    Moves the descriptor's position. Where the file system does not know its holes, all is data.
    """
    size = status.st_size
    if status.st_blocks * 512 >= size:  # no room for a hole; and no need to trust what the file system says of them
        if size:
            yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            stop = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end
                return
            start, stop = end, size
        end = min(stop, size)
        if start < end:
            yield start, end


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
    if not _punch(descriptor, start, size):
        blank = memoryview(bytes(min(BUFFER, size)))
        for position in range(start, start + size, BUFFER):
            write(descriptor, blank[: start + size - position], position)


def _punch(descriptor: int, start: int, size: int) -> bool:
    from ctypes import c_int, c_int64, get_errno

    if _fallocate()(descriptor, c_int(PUNCH_HOLE), c_int64(start), c_int64(size)) == 0:
        return True
    if get_errno() in NOT_HERE:
        return False
    raise OSError(get_errno(), os.strerror(get_errno()))


@cache
def _fallocate() -> Callable[..., int]:
    from ctypes import CDLL, c_int

    libc = CDLL(None, use_errno=True)
    found = getattr(libc, "fallocate64", None) or libc.fallocate  # glibc's takes 64 bits everywhere, as musl's only one
    found.restype = c_int
    return found


def write(target: int, data: memoryview, start: int) -> None:
    """Write all of `data` at `start`. Raises OSError."""
    done = 0
    while done < len(data):
        done += os.pwrite(target, data[done:], start + done)
