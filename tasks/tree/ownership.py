"""Whose a directory's files are inside a guest: the numbers this host has for them, and those the guest is to see.

With when they were changed, that is what a fingerprint of the directory does not tell.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.cache.files.walk import walk
from bootsmith.tasks.errors import StageError

Range = tuple[int, int]
"""First id and how many."""
_NOBODY = (1 << 32) - 1  # -1, which chown takes for "leave it"
_TIMES: Final = -(1 << 31), (1 << 34) - (1 << 31) - 1
"""The first and the last second that ext4 can tell: from 1901 to 2446."""


@dataclass(frozen=True, slots=True)
class Owners:
    """The rule for one tree: who owns its top is root inside; the caller's subordinate ids are what they stand for.

    A tree made in a user namespace by mmdebstrap belongs to the first subordinate id, one made by podman to the user
    itself, with the subordinate ids from 1 on. All other numbers stay: a tree made by root has the guest's own.
    """

    uid: int
    gid: int
    uids: tuple[Range, ...] = ()
    gids: tuple[Range, ...] = ()

    def inside(self, uid: int, gid: int) -> tuple[int, int]:
        """Return a user and a group as the guest sees them."""
        return _inside(uid, self.uid, self.uids), _inside(gid, self.gid, self.gids)

    def outside(self, uid: int, gid: int) -> tuple[int | None, int | None]:
        """Return whose a file has to be here for the guest to see this user and group; None where nobody will do."""
        return _outside(uid, self.uid, self.uids), _outside(gid, self.gid, self.gids)


def _inside(number: int, top: int, ranges: Sequence[Range]) -> int:
    if number == top:
        return 0
    shift = 0 if any(first <= top < first + count for first, count in ranges) else 1
    for first, count in ranges:
        if first <= number < first + count:
            return number - first + shift
        shift += count
    return number


def _outside(number: int, top: int, ranges: Sequence[Range]) -> int | None:
    found = number
    shift = 0 if any(first <= top < first + count for first, count in ranges) else 1
    for first, count in ranges:
        if shift <= number < shift + count:
            found = first + number - shift
        shift += count
    found = found if number else top
    if found >= _NOBODY:
        return None
    return found if _inside(found, top, ranges) == number else None


def of(top: Path) -> Owners:
    """Return the rule for the tree at `top`."""
    from bootsmith.tasks.tools import subordinate_ids

    status = top.stat()
    return Owners(
        status.st_uid, status.st_gid, tuple(subordinate_ids.mine("subuid")), tuple(subordinate_ids.mine("subgid"))
    )


def mtime(status: os.stat_result) -> int:
    """Return when a file was changed, in whole seconds, as a guest sees it."""
    first, last = _TIMES
    return min(max(status.st_mtime_ns // 1_000_000_000, first), last)


class Facts(NamedTuple):
    """What a fingerprint does not tell of a directory: digests of who owns what in it, and of when it was changed."""

    owners: str
    times: str


def facts(top: Path) -> Facts:
    """Return who owns what at and below `top`, and when it was changed, as the guest sees it.

    By the rule of owners access control lists name somebody else. Raises StageError for what cannot be read, and where
    something is mounted.
    """
    from bootsmith.cache.digest import key

    owners = of(top)
    status = top.stat()
    device = status.st_dev
    found: list[key.Value] = []
    times = [b"%d " % mtime(status)]
    try:
        for entry in walk(top):
            if entry.status.st_dev != device:
                place = shown(top / os.fsdecode(entry.inside))
                raise StageError(f"something is mounted at {place}", f"Unmount it first: umount {place}")
            if stat.S_ISREG(entry.status.st_mode) and not os.access(entry.path, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), entry.path)
            inside = owners.inside(entry.status.st_uid, entry.status.st_gid)
            if inside != (0, 0):
                found.append([entry.inside, *inside])
            times.append(b"%d %b" % (mtime(entry.status), entry.inside))
    except OSError as error:
        raise StageError(
            f"{shown(error.filename)} cannot be read: {error.strerror}",
            "Run this as who may read all of it, such as root.",
        ) from error
    ranges: list[key.Value] = [[list(each) for each in ranges] for ranges in (owners.uids, owners.gids)]
    return Facts(
        key.key({"owners": found, "rule": [owners.uid, owners.gid, *ranges]}), key.key({"times": b"\0".join(times)})
    )
