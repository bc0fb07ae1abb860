"""What a program prints, as lines to show: whole, and without what steers a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Lines:
    """Lines to show, out of chunks: split at newlines and at the carriage returns of progress bars."""

    def __init__(self) -> None:
        self._rest = b""

    def show(self, chunk: bytes, on_line: Callable[[str], None]) -> None:
        """Hand over the lines that a chunk completes."""
        for line in self.split(chunk):
            on_line(line)

    def split(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that a chunk completes, without control characters; the empty chunk completes the last."""
        *whole, self._rest = re.split(rb"[\r\n]+", self._rest + chunk)
        if not chunk:
            whole.append(self._rest)
        self._rest = self._rest[-4096:]
        for line in whole:
            if text := _CONTROL.sub("", line.decode(errors="replace")).rstrip():
                yield text
