"""Fingerprints: what a file or a tree holds, in 128 bits. docs/reference/cache-format.md defines them."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bootsmith.cache.digest.attributes import HOST_GIVEN
from bootsmith.cache.digest.index import CHUNK, LENGTH, index_of, index_of_bytes, remember
from bootsmith.cache.digest.key import encode
from bootsmith.cache.files import clock
from bootsmith.cache.files.walk import walk
from xxhash import xxh3_128, xxh3_128_hexdigest

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo
    from bootsmith.cache.digest.stats import Stats

__all__ = ["CHUNK", "fingerprint", "note", "of_bytes", "of_descriptor"]

StrPath: TypeAlias = "str | os.PathLike[str]"

ENTRY = struct.Struct("<BHQQ")  # kind, permission bits, length of the name, length of what it holds; then those two

LINKED = 0  # the kind of an entry that is a hard link to an earlier one; the others are S_IFMT's, shifted
DIRECTORY = stat.S_IFDIR >> 12

WORTH_WAITING = 32 << 20  # reading so much again at the next run costs about as much as a few ms of waiting now
PATIENCE = clock.SECOND // 50


def fingerprint(
    path: StrPath, memo: Memo | None = None, listing: dict[str, str] | None = None, stats: Stats | None = None
) -> str:
    """Return the fingerprint of a regular file or a directory tree, 32 hex digits; a link is followed.

    What `memo` knows is not read again, and what was read is noted there. A tree's entries are put into `listing`:
    path -> "KIND MODE HELD", mode in octal, HELD in hex and "" for a directory. `stats` takes in all that was looked
    at. Raises FileNotFoundError, OSError.
    """
    name = os.fsencode(path)
    status = os.stat(name)  # noqa: PTH116  # here and below: paths are bytes, as any name may be
    if stats is not None:
        stats.look([name])
    if stat.S_ISREG(status.st_mode):
        return _file(name, status, memo, follow=True)
    if stat.S_ISDIR(status.st_mode):
        return _tree(name, status, memo, listing, stats)
    return xxh3_128_hexdigest(encode(["special", _kind(status), status.st_rdev]))


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


def _file(name: bytes, status: os.stat_result, memo: Memo | None, *, follow: bool) -> str:
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
    if memo and _same(before, after):
        memo.put(before, digest, started)
    return digest


def _rest(status: os.stat_result) -> None:
    """Wait until the file's times are past, if that is soon: hashed before, it must be hashed again next time."""
    settled = clock.settled(status)
    if settled - time.time_ns() < PATIENCE:
        clock.rest_until(settled)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns, one.st_ctime_ns) == (other.st_size, other.st_mtime_ns, other.st_ctime_ns)


class _Member(NamedTuple):
    """What counts of a name in a directory. `held` lacks a directory's digest; `inode` is of a file of many names."""

    name: bytes
    kind: int
    mode: int
    held: bytes
    inode: tuple[int, int] | None


def _tree(
    root: bytes, status: os.stat_result, memo: Memo | None, listing: dict[str, str] | None, stats: Stats | None
) -> str:
    members, first = _read(root, memo, stats)
    digests: dict[bytes, bytes] = {}
    for directory in reversed(members):  # below before above
        total = xxh3_128()
        for member in members[directory]:
            name, kind, mode, held, inode = member
            inside = directory + name
            if inode and first[inode] != inside:
                kind, held = LINKED, first[inode]
            digest = digests.pop(inside + b"/") if kind == DIRECTORY else b""
            total.update(ENTRY.pack(kind, mode, len(name), len(digest) + len(held)) + name + digest + held)
            if listing is not None:
                listing[os.fsdecode(inside)] = f"{kind} {mode:o} {held.hex()}"
        digests[directory] = total.digest()
    return xxh3_128_hexdigest(encode(["tree", stat.S_IMODE(status.st_mode), _attributes(root), digests[b""]]))


def _read(
    root: bytes, memo: Memo | None, stats: Stats | None
) -> tuple[dict[bytes, list[_Member]], dict[tuple[int, int], bytes]]:
    """Return what is in each directory of a tree, and of each file that may have several names the first.

    The first is the one least deep, of those the least: not the first that is walked by.
    """
    members: dict[bytes, list[_Member]] = {b"": []}
    first: dict[tuple[int, int], tuple[int, list[bytes]]] = {}
    read: dict[tuple[int, int], bytes] = {}
    for path, inside, name, entry in walk(root, absent=(FileNotFoundError,)):
        if stats is not None:
            stats.add(inside, entry)
        directory = members.get(inside[: -len(name)])
        is_directory = stat.S_ISDIR(entry.st_mode)
        inode = (entry.st_dev, entry.st_ino) if entry.st_nlink > 1 and not is_directory else None
        held = read.get(inode) if inode else None
        try:
            if held is None:
                held = _held(path, entry, memo) + _attributes(path)
        except FileNotFoundError:
            continue  # removed while we looked: as if it had been before
        if directory is None:
            continue  # came back while we looked: as if it had not
        directory.append(_Member(name, _kind(entry), stat.S_IMODE(entry.st_mode), held, inode))
        if is_directory:
            members[inside + b"/"] = []
        elif inode:
            read[inode] = held
            place = inside.count(b"/"), inside.split(b"/")
            first[inode] = min(first.get(inode, place), place)
    return members, {inode: b"/".join(steps) for inode, (_, steps) in first.items()}


def _held(path: bytes, entry: os.stat_result, memo: Memo | None) -> bytes:
    """Return what an entry holds, of a length that its kind tells, or prefixed with it; nothing of a directory."""
    if stat.S_ISREG(entry.st_mode):
        return bytes.fromhex(_file(path, entry, memo, follow=False))
    if stat.S_ISDIR(entry.st_mode):
        return b""
    if stat.S_ISLNK(entry.st_mode):
        target = os.readlink(path)  # noqa: PTH115
        return LENGTH.pack(len(target)) + target
    return LENGTH.pack(entry.st_rdev)


def _kind(status: os.stat_result) -> int:
    return stat.S_IFMT(status.st_mode) >> 12


def _attributes(path: bytes) -> bytes:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return b""  # a file system without any
    kept = [name for name in map(os.fsencode, names) if not name.startswith(HOST_GIVEN)]
    return encode({name: os.getxattr(path, name, follow_symlinks=False) for name in kept}) if kept else b""
