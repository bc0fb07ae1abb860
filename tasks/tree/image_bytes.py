"""The bytes of an image within an open file, as a sequence; they are read as they are asked for, and never mapped.

What is mapped ends the process where somebody makes the file shorter.
"""

from __future__ import annotations

import os
import struct
from typing import Any


class ImageBytes:
    """`size` bytes from `start` of an open file; a slice is short at their end."""

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd, self._start, self._size = fd, start, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, places: slice) -> bytes:
        at, end, _ = places.indices(self._size)
        return os.pread(self._fd, end - at, self._start + at) if at < end else b""

    def unpack(self, form: str | struct.Struct, at: int) -> tuple[Any, ...]:
        """Return the numbers that stand at a place. Raises struct.error where they do not all."""
        layout = struct.Struct(form) if isinstance(form, str) else form
        return layout.unpack(self[at : at + layout.size] if at >= 0 else b"")
