"""The walk over all that is in a directory: each name below it in order, however deep, and never through a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple

LONGEST = 4095  # bytes of a path that Linux takes (PATH_MAX, with the NUL behind it)


class Entry(NamedTuple):
    """What has a name below the top.

    `inside` is its path from the top; `path` is what system calls take: where the whole path is longer than they do,
    one through a directory that is kept open until the walk goes on. `status` is the name's own (lstat).
    """

    path: bytes
    inside: bytes
    name: bytes
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


def walk(
    top: str | bytes | os.PathLike[str],
    excluded: Callable[[bytes], bool] | None = None,
    *,
    absent: tuple[type[OSError], ...] = (),
) -> Iterator[Entry]:
    """Yield what is below a directory, each directory before what is in it, sorted name by name.

    What is `excluded`, by its path from the top, is left out with all below it. Raises OSError, but for the kinds that
    `absent` names: a directory that cannot be opened for such a reason is empty, a name that cannot be looked at none.
    """
    levels = [_open(os.fsencode(top), b"", 0, absent)]
    try:
        while levels:
            level = levels[-1]
            for name, status in level.names:
                inside = level.inside + name
                if excluded is not None and excluded(inside):
                    continue
                path = level.path + name
                if len(path) > LONGEST:
                    path = b"/proc/self/fd/%d/%b" % (level.descriptor, name)
                yield Entry(path, inside, name, status)
                if stat.S_ISDIR(status.st_mode):
                    levels.append(_open(path, inside + b"/", os.O_NOFOLLOW, absent))
                    break
            else:
                _close(levels.pop())
    finally:
        for level in levels:
            _close(level)


class _Level(NamedTuple):
    """A directory on the way down: what it is reached by, what is left of it, and what keeps it open, else -1."""

    path: bytes
    inside: bytes
    names: Iterator[tuple[bytes, os.stat_result]]
    descriptor: int


def _open(path: bytes, inside: bytes, flags: int, absent: tuple[type[OSError], ...]) -> _Level:
    """Look into a directory. It is kept open only where a path to what is in it would be too long."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags)
    except absent:
        return _Level(path, inside, iter(()), -1)
    try:
        found = _listing(descriptor, path, absent)
    except BaseException:
        os.close(descriptor)
        raise
    level = _Level(path + b"/", inside, iter(found), descriptor)
    if all(len(path) + 1 + len(name) <= LONGEST for name, _ in found):
        _close(level)
        return level._replace(descriptor=-1)
    return level


def _close(level: _Level) -> None:
    if level.descriptor >= 0:
        os.close(level.descriptor)


def _listing(descriptor: int, path: bytes, absent: tuple[type[OSError], ...]) -> list[tuple[bytes, os.stat_result]]:
    """Return the names in an open directory, sorted, and what each of them is."""
    found = []
    name = ""
    try:
        with os.scandir(descriptor) as listing:
            for entry in listing:
                name = entry.name
                try:
                    found.append((os.fsencode(name), entry.stat(follow_symlinks=False)))
                except absent:
                    continue
    except OSError as error:
        error.filename = os.path.join(os.fsdecode(path), name)  # noqa: PTH118  any bytes
        raise
    found.sort(key=itemgetter(0))
    return found
