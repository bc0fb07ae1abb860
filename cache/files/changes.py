"""Changes to files and folders, as they happen: what has changed since somebody began to look is never lost.

The kernel is asked, by inotify. Where it does not tell (no watch is left, a folder may not be read, another host writes
to the file system) names, sizes and times are looked at again and again. A store through a mapping (mmap) is told by
neither before the file is closed by whoever mapped it, or its time changes. A write through another hard link, in a
folder that is not watched, the kernel does not tell: looking finds it.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeAlias

from bootsmith.cache.files.inotify import LOST, MADE, MODIFIED, MOVED, Inotify
from bootsmith.cache.files.moves import steps

EVERYTHING: Final = b"/"
"""Stands for what cannot be told: more happened than the kernel could keep."""

QUIET: Final = 0.2  # seconds without a change after which those there were belong together
LONGEST: Final = 2.0  # seconds after which they do all the same
_LOOK: Final = 1.0  # seconds between two looks, where the kernel does not tell
_SHARE: Final = 10  # a look may take a tenth of the time
_WHAT: Final = MODIFIED | MOVED | MADE
_FOREIGN: Final = ("nfs", "cifs", "smb", "9p", "virtiofs", "fuse", "ceph", "afs", "lustre", "gfs", "ocfs", "vboxsf")
"""Kinds of file systems that others may write to: the kernel tells of what this host does alone."""

_Seen: TypeAlias = dict[bytes, tuple[int, ...]]


class Changes:
    """A watch over files, and over folders with all in them; a context manager.

    With `looking` the kernel is not asked.
    """

    def __init__(self, *, looking: bool = False) -> None:
        self._inotify = None if looking else Inotify()
        self._names: dict[int, dict[bytes, bytes]] = {}  # of each watch: names on the way to something, and their paths
        self._whole: dict[int, bytes] = {}  # of each watch: the folder, where every name counts
        self._endings: dict[int, tuple[bytes, tuple[bytes, ...]]] = {}  # likewise, where names with these endings do
        self._looked_at: dict[bytes, _Seen] = {}
        self._foreign: list[bytes] = []
        self._next_look = 0.0

    def watch(
        self, paths: Iterable[str | os.PathLike[str]], endings: Iterable[tuple[str, tuple[str, ...]]] = ()
    ) -> None:
        """Watch over these from now on, in place of those before: what happened to what is still watched stays known.

        `endings` are folders in which every file whose name ends so counts, one that is yet to come too.
        """
        before = {*self._names, *self._whole, *self._endings}
        looked_at, self._looked_at = self._looked_at, {}
        self._names, self._whole, self._endings = {}, {}, {}
        self._foreign = [*_foreign()]
        for path in sorted({os.path.abspath(os.fsencode(path)) for path in paths}):  # noqa: PTH100  bytes
            if not self._ask(path):
                self._looked_at[path] = looked_at[path] if path in looked_at else _look(path)
        for folder, ends in endings:
            name, wanted = os.path.abspath(os.fsencode(folder)), tuple(map(os.fsencode, ends))  # noqa: PTH100
            watch = self._add(name)
            if watch >= 0:
                self._endings[watch] = (name, wanted)
        if self._inotify:
            for watch in before - {*self._names, *self._whole, *self._endings}:
                self._inotify.remove(watch)

    def _ask(self, path: bytes) -> bool:
        """Have the kernel tell of a path; False where it cannot of all of it."""
        real = os.path.realpath(path)
        if self._inotify is None or any(_below(real, each) or _below(each, real) for each in self._foreign):
            return False  # one mounted somewhere within is enough
        for folder, name in steps(path):
            watch = self._add(folder)
            if watch >= 0:
                self._names.setdefault(watch, {})[name] = os.path.join(folder, name)  # noqa: PTH118
            elif os.path.isdir(folder):  # noqa: PTH112  else there is nothing yet, and who looks up the way to it is told
                return False
        waiting = [path] if os.path.isdir(path) else []  # noqa: PTH112
        while waiting:
            folder = waiting.pop()
            watch = self._add(folder)  # first, and then its folders are listed: none can come in between
            if watch >= 0:
                self._whole[watch] = folder
                waiting += _folders(folder)
            elif os.path.isdir(folder):  # noqa: PTH112  else it has gone, which is told
                return False
        return True

    def _add(self, folder: bytes) -> int:
        return self._inotify.add(folder, _WHAT) if self._inotify else -1

    def found(self) -> list[bytes]:
        """Return the paths that changed since they were watched, or this was asked."""
        found = set(self._told())
        if self._looked_at and time.monotonic() >= self._next_look:
            found.update(self._looks())
        return sorted(found)

    def _told(self) -> Iterator[bytes]:
        for watch, what, name in self._inotify.events() if self._inotify else ():
            if what & LOST:
                yield EVERYTHING
            elif watch in self._whole:
                yield os.path.join(self._whole[watch], name)  # noqa: PTH118
            elif name in self._names.get(watch, ()):
                yield self._names[watch][name]
            elif watch in self._endings and name.endswith(self._endings[watch][1]):
                yield os.path.join(self._endings[watch][0], name)  # noqa: PTH118

    def _looks(self) -> Iterator[bytes]:
        began = time.monotonic()
        for path, before in self._looked_at.items():
            now = _look(path)
            yield from (each for each in before.keys() | now.keys() if before.get(each) != now.get(each))
            self._looked_at[path] = now
        took = time.monotonic() - began
        self._next_look = time.monotonic() + max(_LOOK, _SHARE * took)

    def wait(self, seconds: float) -> list[bytes]:
        """Wait up to so many seconds for something to change; return what did."""
        end = time.monotonic() + seconds
        while True:
            found = self.found()
            left = end - time.monotonic()
            if found or left <= 0:
                return found
            descriptor = self._inotify.descriptor if self._inotify else -1
            pause = min(left, max(0.0, self._next_look - time.monotonic())) if self._looked_at else left
            select.select([descriptor] if descriptor >= 0 else [], [], [], pause)

    def settled(self, seconds: float) -> list[bytes]:
        """Wait as `wait` does, and when something changes until nothing has for a moment; return all that did."""
        found = set(self.wait(seconds))
        end = time.monotonic() + LONGEST
        while found and time.monotonic() < end:
            more = self.wait(QUIET)
            if not more:
                break
            found.update(more)
        return sorted(found)

    @property
    def looks(self) -> int:
        """How many of the paths are looked at, because the kernel does not tell."""
        return len(self._looked_at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._inotify:
            self._inotify.close()


def _folders(top: bytes) -> list[bytes]:
    """Return the folders in one; links to others are none."""
    with suppress(OSError), os.scandir(top) as found:
        return [each.path for each in found if each.is_dir(follow_symlinks=False)]
    return []


def _look(path: bytes) -> _Seen:
    """Return what is at a path, and in it: identity, mode, size and times of each name."""
    seen: _Seen = {}
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116
        seen[path] = _mark(status)
        for folder, inner, files in os.walk(path) if stat.S_ISDIR(status.st_mode) else ():
            for name in (*inner, *files):
                with suppress(OSError):  # it has gone meanwhile
                    each = os.path.join(folder, name)  # noqa: PTH118
                    seen[each] = _mark(os.lstat(each))
    return seen


def _mark(status: os.stat_result) -> tuple[int, ...]:
    folder = stat.S_ISDIR(status.st_mode)  # whose size and times say what its names do
    times = () if folder else (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid, *times)


def _foreign() -> Iterator[bytes]:
    """Yield where file systems are mounted that other hosts may write to."""
    with suppress(OSError), open("/proc/self/mountinfo", "rb") as file:  # noqa: PTH123
        for line in file:
            mount, _, rest = line.partition(b" - ")
            if rest.startswith(tuple(map(str.encode, _FOREIGN))):
                yield mount.split(b" ")[4].replace(rb"\040", b" ")


def _below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
