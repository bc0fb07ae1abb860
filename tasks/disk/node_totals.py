"""How much the files of a foreign filesystem say that they hold, together: each may say it of the same few bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

MOST_DATA: Final = 1 << 44
"""Bytes: 16 TiB, of which a number is kept for each MiB."""
MOST_ATTRIBUTES: Final = 256 << 20
"""Bytes of names and values, which are kept."""


class Totals:
    """What was told so far; `damaged` raises what tells that it is more than any filesystem has."""

    def __init__(self, damaged: Callable[[str], NoReturn]) -> None:
        self._damaged = damaged
        self._data = self._attributes = 0

    def add_data(self, size: int) -> None:
        """Count what a file holds. Raises StageError."""
        self._data += size
        if self._data > MOST_DATA:
            self._damaged("its files hold more than any do")

    def add_attribute(self, name: bytes, value: bytes) -> None:
        """Count an attribute. Raises StageError."""
        self._attributes += len(name) + len(value)
        if self._attributes > MOST_ATTRIBUTES:
            self._damaged("its files have more attributes than any have")
