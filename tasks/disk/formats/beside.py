"""Work that is done in a thread of its own, beside what takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T]) -> Callable[[], T]:
    """Begin some work; return what waits for what it comes to, and raises what it raised."""
    found: list[T] = []
    wrong: list[Exception] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001  # raised again, where it is waited for
            wrong.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> T:
        thread.join()
        if wrong:
            raise wrong[0]
        return found[0]

    return result
