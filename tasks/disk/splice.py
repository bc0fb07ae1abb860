"""Moving blocks between files without moving their holes: sparse copies, splices, and making one file equal another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.files import sparse

if TYPE_CHECKING:
    from bootsmith.cache.digest.index import Index

CHUNK = 1 << 20


def copy(source: int, source_at: int, target: int, target_at: int, length: int) -> None:
    """Copy bytes from one open file into another, holes left out: there the target must hold zeros already."""
    shift = target_at - source_at
    for start, end in sparse.extents(source, source_at, source_at + length):
        _copy_run(source, start, target, start + shift, end - start)


def _copy_run(source: int, source_at: int, target: int, target_at: int, length: int) -> None:
    in_kernel = True
    while length:
        if in_kernel:
            try:
                done = os.copy_file_range(source, target, length, source_at, target_at)
            except OSError as error:
                if error.errno not in sparse.NOT_HERE:
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
            done = sparse.write(target, chunk, target_at)
        source_at += done
        target_at += done
        length -= done


def copy_file(source: Path, target: Path) -> None:
    """Make a new file with the content of another, as sparse as that one."""
    with source.open("rb") as old, target.open("xb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        copy(old.fileno(), 0, new.fileno(), 0, size)


def become(source: Path, wanted: Index, target: Path, present: Index) -> None:
    """Make a file that holds what `present` says equal to another that holds what `wanted` says, where they differ."""
    with source.open("rb") as new, target.open("r+b") as old:
        os.truncate(old.fileno(), wanted.size)
        for chunk in wanted.differs(present):
            make_equal(new.fileno(), old.fileno(), start=chunk.start, end=chunk.start + chunk.size)


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
    for data, stop in sparse.extents(source, start, end):
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
            sparse.write(target, wanted, target_at + start)
            changed += length
        start += length
    return changed


def _empty(target: int, start: int, end: int) -> int:
    """Make a stretch a hole; return how many bytes of it were data."""
    stale = list(sparse.extents(target, start, end))
    for at, stop in stale:
        sparse.punch(target, at, stop - at)
    return sum(stop - at for at, stop in stale)
