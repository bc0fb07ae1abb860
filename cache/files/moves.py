"""Folders that were moved while somebody read what is in them: another may have stood in their place without a trace.

A file knows nothing of its folder being moved away and back, nor do the folders in between: of all stats that of the
folder itself alone tells, and only until something else is put into it. The kernel is asked instead, by inotify(7).
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from bootsmith.cache.files.inotify import LOST, MOVED, Event, Inotify

_MOST_LINKS: Final = 40  # as the kernel follows


class _Queue:
    """What the kernel tells to all who watch in this process: to end a queue takes it some 10 ms, so there is one.

    Its watches stay. Nobody reads while nobody watches: what came then is read when somebody begins, and means nothing.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self.inotify = Inotify()
        self._guard = threading.Lock()
        self._readers: list[list[Event]] = []

    def join(self) -> list[Event]:
        """Return a list to which `read` adds what happens from now on, until it leaves."""
        events: list[Event] = []
        with self._guard:
            self._read()
            self._readers.append(events)
        return events

    def leave(self, events: list[Event]) -> None:
        """Add nothing to a list any more."""
        with self._guard:
            self._readers = [each for each in self._readers if each is not events]

    def read(self) -> None:
        """Add what happened to all lists."""
        with self._guard:
            self._read()

    def _read(self) -> None:
        found = list(self.inotify.events())
        for each in self._readers:
            each.extend(found)


_queue: _Queue | None = None


def _shared() -> _Queue:
    """Return this process's queue; a fork has its own, and whoever was refused one asks again."""
    global _queue  # noqa: PLW0603
    if _queue is None or _queue.process != os.getpid() or _queue.inotify.descriptor < 0:
        _queue = _Queue()
    return _queue


class Moves:
    """A watch over the names of all folders on the way to some paths, links followed; a context manager.

    Where a folder cannot be watched (it may be entered and not read; the user has no watches left) what it holds is
    looked at instead, as links are.
    """

    def __init__(self, paths: Iterable[str | bytes | os.PathLike[str]]) -> None:
        self._queue = _shared()
        self._events = self._queue.join()
        self._names: dict[int, dict[bytes, bytes]] = {}  # of each watch: names, and the paths that they are
        self._seen: dict[bytes, os.stat_result] = {}
        for folder, name in {step for each in _folders(paths) for step in steps(each)}:
            self._add(folder, name)

    def _add(self, folder: bytes, name: bytes) -> None:
        path = os.path.join(folder, name)  # noqa: PTH118  bytes
        watch = self._queue.inotify.add(folder, MOVED)
        if watch >= 0:
            self._names.setdefault(watch, {})[name] = path
        with suppress(OSError):
            status = os.lstat(path)
            if watch < 0 or stat.S_ISLNK(status.st_mode):
                self._seen[path] = status

    def found(self) -> list[bytes]:
        """Return which folders, or links to some, were moved or exchanged; b"/" where that is not to be told."""
        found = {path for path, status in self._seen.items() if _is_another(path, status)}
        self._queue.read()
        events = self._events[:]
        del self._events[: len(events)]
        for watch, what, name in events:
            if what & LOST and (watch < 0 or watch in self._names):
                found.add(b"/")
            elif name in self._names.get(watch, ()):
                found.add(self._names[watch][name])
        return sorted(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._queue.leave(self._events)


def _folders(paths: Iterable[str | bytes | os.PathLike[str]]) -> set[bytes]:
    return {os.path.dirname(os.path.abspath(os.fsencode(path))) for path in paths}  # noqa: PTH100, PTH120  bytes


def steps(folder: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each name that is looked up on the way to a folder or file, behind the folder that it is looked up in."""
    here, links = b"/", 0
    waiting = folder.split(b"/")[::-1]
    while waiting:
        name = waiting.pop()
        if name == b"..":
            here = os.path.dirname(here)  # noqa: PTH120
        if name in (b"", b".", b".."):
            continue
        yield here, name
        path = os.path.join(here, name)  # noqa: PTH118
        try:
            target = os.readlink(path)  # noqa: PTH115
        except OSError:  # no link, or nothing
            here = path
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        if target.startswith(b"/"):
            here = b"/"
        waiting += target.split(b"/")[::-1]


def _is_another(path: bytes, before: os.stat_result) -> bool:
    """Tell whether a link was made anew, or a folder moved: that alone changes its ctime and not its mtime."""
    try:
        now = os.lstat(path)
    except OSError:
        return True
    same = now.st_mtime_ns == before.st_mtime_ns or stat.S_ISLNK(now.st_mode)
    return now.st_ctime_ns != before.st_ctime_ns and same
