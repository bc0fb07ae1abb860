"""What repositories are told by: lists and signatures, whose content nobody knows before. They are bounded, and few."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import downloads, web
from bootsmith.tasks.packages.mirrors import proxies

_PIECE: Final = 1 << 18
_REACH: Final = "Check the network and the proxy settings, or name another mirror."


class RepositoryFiles:
    """Files of web servers and of file: URLs, reached by apt's `settings`."""

    def __init__(self, settings: Mapping[str, str], pauses: tuple[float, ...] = downloads.PAUSES) -> None:
        self._client = web.Client(settings, proxies(settings))
        self._pauses = pauses

    def close(self) -> None:
        self._client.close()

    def read(self, url: str, largest: int) -> bytes | None:
        """Return what a URL has, None where there is nothing. Raises StageError, also above `largest` bytes."""
        for pause in (*self._pauses, None):
            try:
                return self._read(url, largest)
            except OSError as error:
                if pause is None:
                    raise StageError(f"{url} cannot be fetched: {error}", _REACH) from error
                time.sleep(pause)
        raise AssertionError("the last try has no pause behind it")

    def read_all(self, urls: Sequence[str], largest: int) -> list[bytes | None]:
        """Return what each URL has, a handful at a time."""
        with ThreadPoolExecutor(downloads.PARALLEL) as pool:
            return list(pool.map(lambda url: self.read(url, largest), urls))

    def _read(self, url: str, largest: int) -> bytes | None:
        parts = urlsplit(url)
        if parts.scheme == "file":
            try:
                with Path(unquote(parts.path)).open("rb") as file:
                    return _bounded(file.read(largest + 1), largest, url)
            except (FileNotFoundError, NotADirectoryError):
                return None
        try:
            with self._client.open(url) as answer:
                data = b""
                while len(data) <= largest and (piece := answer.read(_PIECE)):
                    data += piece
                return _bounded(data, largest, url)
        except web.MissingError:
            return None


def _bounded(data: bytes, largest: int, url: str) -> bytes:
    if len(data) > largest:
        raise StageError(f"{url} is larger than {largest >> 10} KiB", "Name another mirror.")
    return data
