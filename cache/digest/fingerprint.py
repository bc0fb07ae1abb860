"""Fingerprints: what a file or a tree holds, in 128 bits. docs/reference/cache-format.md defines them."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bootsmith.cache.digest.index import CHUNK, index_of, index_of_bytes, remember
from bootsmith.cache.digest.key import encode
from bootsmith.cache.files import clock
from xxhash import xxh3_128_hexdigest

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo
    from bootsmith.cache.digest.stats import Stats
    from bootsmith.cache.digest.tree import TreeLook

__all__ = ["CHUNK", "fingerprint", "note", "of_bytes", "of_descriptor"]

StrPath: TypeAlias = "str | os.PathLike[str]"

WORTH_WAITING = 32 << 20  # reading so much again at the next run costs about as much as a few ms of waiting now
PATIENCE = clock.SECOND // 50


def fingerprint(
    path: StrPath,
    memo: Memo | None = None,
    listing: dict[str, str] | None = None,
    stats: Stats | None = None,
    looks: list[TreeLook] | None = None,
) -> str:
    """Return the fingerprint of a regular file or a directory tree, 32 hex digits; a link is followed.

    What `memo` knows is not read again, and what was read is noted there. A tree's entries are put into `listing`:
    path -> "KIND MODE HELD", mode in octal, HELD in hex and "" for a directory; of one with too many `tree.UNLISTED`.
    `looks` is given the look at a tree, for who wants to know more of it. `stats` takes in all that was looked at.
    Raises FileNotFoundError, OSError.
    """
    name = os.fsencode(path)
    status = os.stat(name)  # noqa: PTH116  # here and below: paths are bytes, as any name may be
    if stats is not None:
        stats.look([name])
    if stat.S_ISREG(status.st_mode):
        return _file(name, status, memo, follow=True)
    if stat.S_ISDIR(status.st_mode):
        from bootsmith.cache.digest import tree

        def read(file: bytes, found: os.stat_result) -> bytes:
            return bytes.fromhex(_file(file, found, memo, follow=False, noted=False))

        digest, look = tree.fingerprint(name, stat.S_IMODE(status.st_mode), read, memo, stats)
        if listing is not None:
            listing.update(look.listing())
        if looks is not None:
            looks.append(look)
        return digest
    return xxh3_128_hexdigest(encode(["special", stat.S_IFMT(status.st_mode) >> 12, status.st_rdev]))


def note(path: StrPath, digest: str, memo: Memo) -> None:
    """Remember what a file that was just made or renamed holds, without reading it again; the caller vouches for it."""
    status = Path(path).stat()
    if status.st_size >= WORTH_WAITING:
        _rest(status)
    if _same(status, Path(path).stat()):
        memo.put(status, digest, time.time_ns())


def of_bytes(content: bytes) -> str:
    """Return the fingerprint of a file with this content."""
    return index_of_bytes(content).digest


def of_descriptor(descriptor: int) -> str:
    """Return the fingerprint of an open regular file. Moves the descriptor's position. Raises OSError."""
    index = index_of(descriptor)
    digest = index.digest
    remember(index, digest)
    return digest


def _file(name: bytes, status: os.stat_result, memo: Memo | None, *, follow: bool, noted: bool = True) -> str:
    known = memo.get(status) if memo else None
    if known:
        return known
    if memo and status.st_size >= WORTH_WAITING:
        _rest(status)
    started = time.time_ns()
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        before = os.fstat(descriptor)
        digest = of_descriptor(descriptor)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if memo and noted and _same(before, after):
        memo.put(before, digest, started)
    return digest


def _rest(status: os.stat_result) -> None:
    """Wait until the file's times are past, if that is soon: hashed before, it must be hashed again next time."""
    settled = clock.settled(status)
    if settled - time.time_ns() < PATIENCE:
        clock.rest_until(settled)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns, one.st_ctime_ns) == (other.st_size, other.st_mtime_ns, other.st_ctime_ns)
