"""What the stages of `web_file` need: fetched, gone on with where a server breaks off; see `Stage.fetcher`."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

from bootsmith.cache.display import human
from bootsmith.cache.files.temporary import temporary
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import mirrors, web
from bootsmith.tasks.packages.web import MissingError
from bootsmith.tasks.packages.web_file import URL

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Download, Json

    _Begin = Callable[[int], AbstractContextManager[tuple[BinaryIO, int]]]
    """Opens the file from a byte on; yields it, and the byte that it really begins with."""

LARGEST: Final = 64 << 30
"""Bytes of one file: a server that sends without end is told."""
PAUSES: Final = (0.5, 2.0, 5.0)
"""Seconds between attempts at a server that breaks off: each goes on where the last one ended."""
_BUFFER: Final = 1 << 18


def supply(
    files: Sequence[Download],
    hints: Mapping[str, Json],
    store: Store,
    say: Callable[[str], None],
    *,
    pauses: tuple[float, ...] = PAUSES,
) -> dict[str, Path]:
    """Bring the file into the store; return where it is, by SHA-256. Raises StageError, CacheError."""
    url = str(hints[URL])
    for file in files:
        if not store.verify_sha256(file.sha256):
            _fetch(url, file.sha256, store, say, pauses)
    found = {file.sha256: store.path_sha256(file.sha256) for file in files}
    if None in found.values():
        raise StageError(f"{url}: its file vanished from the store", "Run the same command again.")
    return cast("dict[str, Path]", found)


def _fetch(url: str, sha256: str, store: Store, say: Callable[[str], None], pauses: tuple[float, ...]) -> None:
    with temporary(store.drafts()) as (descriptor, draft), _opener(url) as begin:
        for pause in itertools.chain(pauses, [None]):
            try:
                with open(descriptor, "r+b", closefd=False) as file:
                    _copy(url, begin, file, say)
                break
            except OSError as error:  # what the network does, also in the middle of a file
                if pause is None:
                    what = f"{url} cannot be fetched: {error}"
                    raise StageError(
                        what, "Check the network and the proxy settings, or name another place."
                    ) from error
                time.sleep(pause)
        try:
            store.put_sha256(draft, sha256)
        except ValueError as error:
            now = str(error).partition("has the SHA-256 ")[2].partition(",")[0]
            raise StageError(
                f"{url} has the SHA-256 {now}, and the recipe says {sha256}",
                "It is another file than it was, or no file but a page about one: see whether it is the one you mean.",
            ) from error


def _copy(url: str, begin: _Begin, file: BinaryIO, say: Callable[[str], None]) -> None:
    """Copy what a file lacks at its end, or all of it from a server that cannot begin in the middle."""
    have = file.seek(0, os.SEEK_END)
    with begin(have) as (source, start):
        file.seek(start)
        file.truncate()
        have = start
        while data := source.read(_BUFFER):
            have += len(data)
            if have > LARGEST:
                raise StageError(f"{url} has more than {human(LARGEST)}", "Name another file.")
            file.write(data)
            say(f"fetching {url}: {human(have)}")
    file.flush()


@contextmanager
def _opener(url: str) -> Iterator[_Begin]:
    parts = urlsplit(url)
    if parts.scheme == "file":
        yield lambda _have: _local(url, Path(unquote(parts.path)))
        return
    settings = mirrors.host_settings()
    client = web.Client(settings, mirrors.proxies(settings))
    try:
        yield lambda have: _remote(client, url, have)
    finally:
        client.close()


@contextmanager
def _local(url: str, path: Path) -> Iterator[tuple[BinaryIO, int]]:
    if not path.is_file():
        raise StageError(f"{url}: there is no such file", "Name another place.")
    with path.open("rb") as file:
        yield file, 0


@contextmanager
def _remote(client: web.Client, url: str, have: int) -> Iterator[tuple[BinaryIO, int]]:
    try:
        with client.open(url, start=have) as answer:
            began = have if answer.status == 206 else 0
            yield cast("BinaryIO", answer), began
    except MissingError as error:
        raise StageError(f"{error}", "Name another place that has the file: its SHA-256 stays.") from error
