"""A few threads that share a list of work; zstd, xxh3 and the kernel let others run meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 4  # more get into each other's way: writes to one file wait for each other


def share(items: Iterable[T], work: Callable[[Iterator[T]], None], most: int | None = None) -> None:
    """Let each of a few threads call `work`, which takes items until none is left; this thread is one of them.

    What one raises ends the work of all, and is raised here.
    """
    queue = _Queue(items)
    others = [threading.Thread(target=queue.serve, args=(work,)) for _ in range((most or _size()) - 1)]
    for thread in others:
        thread.start()
    try:
        queue.serve(work)
    finally:
        queue.close()
        for thread in others:
            thread.join()
    if queue.error:
        raise queue.error


def _size() -> int:
    return min(MOST, len(os.sched_getaffinity(0)))


class _Queue(Generic[T]):
    """An iterator that threads may share; at its end as soon as one of them failed."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._mutex = threading.Lock()
        self._closed = False
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._mutex:
            if self._closed:
                raise StopIteration
            return next(self._items)

    def serve(self, work: Callable[[Iterator[T]], None]) -> None:
        try:
            work(self)
        except Exception as error:  # noqa: BLE001  # raised again by `share`, in the thread that asked
            self.error = self.error or error
            self.close()

    def close(self) -> None:
        self._closed = True
