"""Locks on keys: of builds that need the same result at once one makes it, the others wait and then have it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.store.location import PRIVATE

KEY = re.compile(r"[0-9a-f]{32}")


def sweep(root: Path) -> None:
    """Remove the locks that processes left when they were killed."""
    with suppress(OSError, CacheError):
        for path in (root / "locks").iterdir():
            if KEY.fullmatch(path.name):
                lock = FileLock(path, create=False)
                if lock.try_acquire():
                    _end(lock)


@contextmanager
def hold(root: Path, key: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """Be the only one, in this process and others, who makes `key`; it may be in the store once the wait is over.

    `waiting` is told who is at it, before the wait begins. A store that cannot be written makes nobody wait: everybody
    makes what it cannot keep.
    """
    lock = FileLock(root / "locks" / key)
    with suppress(OSError, CacheError):
        lock.path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        lock.acquire(waiting=waiting)
    try:
        yield
    finally:
        if lock.is_held:
            _end(lock)


def _end(lock: FileLock) -> None:
    with suppress(OSError):
        lock.path.unlink()  # who waits for it finds it gone, and takes its successor
    lock.release()
