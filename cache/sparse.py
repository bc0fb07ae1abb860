"""Copies of files that keep their holes, and share their blocks where the file system can."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator

FICLONE = 0x40049409  # ioctl_ficlone(2)
BUFFER = 1 << 20
STEP = 1 << 30  # copy_file_range takes at most 2 GiB at once; the rest only bounds how long a signal waits
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


def copy(source: int, target: int) -> None:
    """Fill `target`, an empty file open for writing, with all of `source`. Raises OSError."""
    status = os.fstat(source)
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
    else:
        return
    os.ftruncate(target, status.st_size)
    for start, end in extents(source, status):
        done = _copy_in_kernel(source, target, start, end)
        _copy_through_memory(source, target, start + done, end)


def _copy_in_kernel(source: int, target: int, start: int, end: int) -> int:
    """Copy as much as the kernel will; return how many bytes that was."""
    done = 0
    while start + done < end:
        position = start + done
        try:
            copied = os.copy_file_range(source, target, min(STEP, end - position), position, position)
        except OSError as error:
            if error.errno in NOT_HERE:
                break
            raise
        if not copied:  # the end of the file, or a file system that answers so (some of FUSE do)
            break
        done += copied
    return done


def _copy_through_memory(source: int, target: int, start: int, end: int) -> None:
    if start >= end:
        return
    view = memoryview(bytearray(min(BUFFER, end - start)))
    while start < end:
        size = os.preadv(source, [view[: end - start]], start)
        if not size:
            return  # cut short meanwhile: whoever verifies the copy finds out
        start += _write(target, view[:size], start)


def _write(target: int, data: memoryview, start: int) -> int:
    done = 0
    while done < len(data):
        done += os.pwrite(target, data[done:], start + done)
    return done
