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
    closed: Callable[[bytes], bool] | None = None,
    absent: tuple[type[OSError], ...] = (),
) -> Iterator[Entry]:
    """Yield what is below a directory, each directory before what is in it, sorted name by name.

    What is `excluded`, by its path from the top, is left out with all below it; directories that are `closed` are not
    looked into, nor is the top where b"" is. Raises OSError, but for the kinds that
    `absent` names: a directory that cannot be opened for such a reason is empty, a name that cannot be looked at none.
    """
    if closed is not None and closed(b""):
        return
    levels = [_open(os.fsencode(top), b"", 0, absent)]
    waiting = [iter(zip(levels[0].folder.names, levels[0].folder.statuses, strict=True))]
    try:
        while levels:
            folder = levels[-1].folder
            for name, status in waiting[-1]:
                inside = folder.inside + name
                if excluded is not None and excluded(inside):
                    continue
                path = folder.path + name
                yield Entry(path, inside, name, status)
                if stat.S_ISDIR(status.st_mode) and not (closed is not None and closed(inside)):
                    levels.append(_open(path, inside + b"/", os.O_NOFOLLOW, absent))
                    waiting.append(iter(zip(levels[-1].folder.names, levels[-1].folder.statuses, strict=True)))
                    break
            else:
                _close(levels.pop())
                waiting.pop()
    finally:
        for level in levels:
            _close(level)


def occupied(folder: str | os.PathLike[str]) -> int:
    """Return the bytes that the files below a folder occupy on disk; each once, whatever links lead to it."""
    return sum(
        {
            (each.status.st_dev, each.status.st_ino): each.status.st_blocks * 512
            for each in walk(folder, absent=(OSError,))
            if not each.is_directory
        }.values()
    )


class Folder(NamedTuple):
    """A directory, all that is in it at once: the names, sorted, and what each of them is (lstat).

    `inside` is its path from the top, with a slash behind it but for the top's own; `path` and a name behind it are
    what system calls take, until the walk goes on.
    """

    path: bytes
    inside: bytes
    names: list[bytes]
    statuses: list[os.stat_result]


def folders(top: str | bytes | os.PathLike[str], *, absent: tuple[type[OSError], ...] = ()) -> Iterator[Folder]:
    """Yield a directory and those below it, each before those in it, sorted name by name; as `walk` in all else."""
    levels = [_open(os.fsencode(top), b"", 0, absent)]
    waiting = [_directories(levels[0].folder)]
    try:
        yield levels[0].folder
        while levels:
            above = levels[-1].folder
            for name in waiting[-1]:
                levels.append(_open(above.path + name, above.inside + name + b"/", os.O_NOFOLLOW, absent))
                waiting.append(_directories(levels[-1].folder))
                yield levels[-1].folder
                break
            else:
                _close(levels.pop())
                waiting.pop()
    finally:
        for level in levels:
            _close(level)


def _directories(folder: Folder) -> Iterator[bytes]:
    found = zip(folder.names, folder.statuses, strict=True)
    return iter([name for name, status in found if stat.S_ISDIR(status.st_mode)])


class _Level(NamedTuple):
    """A directory on the way down, and what keeps it open, else -1."""

    folder: Folder
    descriptor: int


def _open(path: bytes, inside: bytes, flags: int, absent: tuple[type[OSError], ...]) -> _Level:
    """Look into a directory. It is kept open only where a path to what is in it would be too long."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags)
    except absent:
        return _Level(Folder(path + b"/", inside, [], []), -1)
    try:
        names, statuses = _listing(descriptor, path, absent)
    except BaseException:
        os.close(descriptor)
        raise
    if len(path) + 1 + max(map(len, names), default=0) <= LONGEST:
        os.close(descriptor)
        return _Level(Folder(path + b"/", inside, names, statuses), -1)
    return _Level(Folder(b"/proc/self/fd/%d/" % descriptor, inside, names, statuses), descriptor)


def _close(level: _Level) -> None:
    if level.descriptor >= 0:
        os.close(level.descriptor)


def _listing(
    descriptor: int, path: bytes, absent: tuple[type[OSError], ...]
) -> tuple[list[bytes], list[os.stat_result]]:
    """Return the names in an open directory, sorted, and what each of them is."""
    statuses: dict[str, os.stat_result] = {}
    name = ""
    try:
        with os.scandir(descriptor) as listing:
            for entry in listing:
                name = entry.name
                try:
                    statuses[name] = entry.stat(follow_symlinks=False)
                except absent:
                    continue
    except OSError as error:
        error.filename = os.path.join(os.fsdecode(path), name)  # noqa: PTH118  any bytes
        raise
    if not statuses:
        return [], []
    names = os.fsencode("\0".join(statuses)).split(b"\0")  # at once: a tenth of what one by one takes
    found = sorted(zip(names, statuses.values(), strict=True), key=itemgetter(0))
    return [name for name, _ in found], [status for _, status in found]
