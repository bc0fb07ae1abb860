"""Packages: fetched by their SHA-256 from any mirror into the store, a handful at a time; see `Stage.fetcher`."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import quote, unquote, urlsplit

from bootsmith.cache.files.temporary import temporary
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import mirrors, web
from bootsmith.tasks.packages.mirrors import Mirrors, proxies
from bootsmith.tasks.packages.web import MissingError

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.stage import Download, Json

PARALLEL: Final = 6
PAUSES: Final = (0.5, 2.0)
"""Seconds between attempts at a mirror that cannot be reached."""
_BUFFER: Final = 1 << 18


class _Gone(Exception):
    """A mirror does not have the file."""


class _Wrong(Exception):
    """A mirror gave something else."""


class _Abandoned(Exception):
    """Another package could not be had: this one need not be finished."""


def supply(
    files: Sequence[Download], hints: Mapping[str, Json], store: Store, say: Callable[[str], None]
) -> dict[str, Path]:
    """Bring the packages into the store that a stage with these hints asks for; return where each is, by SHA-256."""
    own = str(hints["mirror"]) if hints["mirror"] else None
    extras, key = cast("list[str]", hints["extras"]), str(hints["key"])
    return fetch(files, store, lambda: mirrors.find(own, extras, key=key, distribution=str(hints["distribution"])), say)


def fetch(
    files: Sequence[Download],
    store: Store,
    find_mirrors: Callable[[], Mirrors],
    say: Callable[[str], None],
    *,
    pauses: tuple[float, ...] = PAUSES,
) -> dict[str, Path]:
    """Bring packages into the store; return where each is, by SHA-256.

    Mirrors are looked for only when something is missing. Raises StageError where a package is gone or cannot be had,
    CacheError where it cannot be stored.
    """
    with ThreadPoolExecutor(PARALLEL) as pool:
        present = list(pool.map(lambda package: store.verify_sha256(package.sha256), files))
    missing = [package for package, there in zip(files, present, strict=True) if not there]
    if missing:
        drafts = store.drafts()
        found = find_mirrors()
        progress = _Progress(len(missing), sum(package.size for package in missing), say)
        download = _Download(store, drafts, found, progress, pauses)
        with ThreadPoolExecutor(PARALLEL) as pool:
            waiting = [pool.submit(download, package) for package in missing]
            done, _ = wait(waiting, return_when=FIRST_EXCEPTION)
            failed = [error for each in done if (error := each.exception())]
            if failed:
                progress.abandon()
                pool.shutdown(cancel_futures=True)
        download.close()
        if failed:
            raise failed[0]
    return {package.sha256: _stored(store, package) for package in files}


def gone(files: Sequence[Download], store: Store, mirrors: Mirrors) -> list[Download]:
    """Return those of the packages that are neither in the store nor on any of their mirrors, as far as these tell."""
    client = web.Client(mirrors.settings, proxies(mirrors.settings))

    def is_gone(package: Download) -> bool:
        bases = mirrors.uris.get(package.role, ())
        return bool(bases) and not any(_has(client, _url(base, package)) for base in bases)

    missing = [package for package in files if store.path_sha256(package.sha256) is None]
    with ThreadPoolExecutor(PARALLEL) as pool:
        found = [package for package, lost in zip(missing, pool.map(is_gone, missing), strict=True) if lost]
    client.close()
    return found


def _has(client: web.Client, url: str) -> bool:
    """Tell whether a mirror has a file; one that cannot be asked may."""
    parts = urlsplit(url)
    if parts.scheme in ("file", "copy"):
        return Path(unquote(parts.path)).exists()
    try:
        return client.has(url)
    except OSError:
        return True


def _url(base: str, package: Download) -> str:
    return f"{base.rstrip('/')}/{quote(package.path)}"


def _stored(store: Store, package: Download) -> Path:
    path = store.path_sha256(package.sha256)
    if path is None:
        raise StageError(f"{package.title}: its file vanished from the store", "Run the same command again.")
    return path


class _Progress:
    """What the user is told while packages come in."""

    def __init__(self, count: int, size: int, say: Callable[[str], None]) -> None:
        self._count = count
        self._size = size
        self._say = say
        self._files = 0
        self._bytes = 0
        self._said = ""
        self._mutex = threading.Lock()
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        self._abandoned.set()

    def add(self, size: int, *, files: int = 0) -> None:
        if self._abandoned.is_set():
            raise _Abandoned
        with self._mutex:
            self._bytes += size
            self._files += files
            text = f"fetching {self._files}/{self._count} packages, {self._bytes >> 20} of {self._size >> 20} MiB"
            if text != self._said:
                self._said = text
                self._say(text)


class _Download:
    def __init__(
        self, store: Store, drafts: Path, mirrors: Mirrors, progress: _Progress, pauses: tuple[float, ...]
    ) -> None:
        self._store = store
        self._drafts = drafts
        self._mirrors = mirrors
        self._progress = progress
        self._pauses = pauses
        self._client = web.Client(mirrors.settings, proxies(mirrors.settings))

    def close(self) -> None:
        self._client.close()

    def __call__(self, package: Download) -> None:
        """Fetch one package from the first mirror that has it."""
        bases = self._mirrors.uris.get(package.role, ())
        if not bases:
            raise StageError(
                f"{package.title} comes from a repository ({package.role}) that the recipe no longer names",
                "Run `doit update` to resolve the packages again.",
            )
        refusals = []
        for base in bases:
            url = _url(base, package)
            try:
                self._patiently(url, package)
            except (_Gone, _Wrong) as error:
                refusals.append(str(error))
            else:
                self._progress.add(0, files=1)
                return
        raise StageError(
            f"{package.title} cannot be had any more: {'; '.join(refusals)}",
            "Mirrors drop versions that were superseded. Run `doit update` to take the present ones.",
        )

    def _patiently(self, url: str, package: Download) -> None:
        for pause in itertools.chain(self._pauses, [None]):
            counted = 0

            def count(size: int) -> None:
                nonlocal counted
                counted += size
                self._progress.add(size)

            try:
                with temporary(self._drafts) as (descriptor, draft):
                    with open(descriptor, "wb", closefd=False) as file:
                        self._copy(url, file, package.size, count)
                    with _as_wrong(url):
                        self._store.put_sha256(draft, package.sha256)
            except _Wrong:
                self._progress.add(-counted)
                raise
            except OSError as error:  # what the network does, also in the middle of a file
                self._progress.add(-counted)
                if pause is None:
                    raise StageError(
                        f"{url} cannot be fetched: {error}",
                        "Check the network and the proxy settings, then run the same command again: "
                        "what was fetched is kept.",
                    ) from error
                time.sleep(pause)
            else:
                return

    def _copy(self, url: str, file: BinaryIO, size: int, count: Callable[[int], None]) -> None:
        with self._opened(url) as source:
            left = size + 1  # one more than it may have: a longer file is told from the right one
            while left and (data := source.read(min(left, _BUFFER))):
                file.write(data)
                left -= len(data)
                count(len(data))
        file.flush()
        if left == 0:
            raise _Wrong(f"{url} is larger than {size} bytes")
        if left > 1:
            raise OSError(f"it ended {left - 1} bytes early")

    @contextlib.contextmanager
    def _opened(self, url: str) -> Iterator[BinaryIO]:
        parts = urlsplit(url)
        if parts.scheme in ("file", "copy"):
            try:
                file = Path(unquote(parts.path)).open("rb")  # noqa: SIM115  closed below
            except FileNotFoundError as error:
                raise _Gone(f"{url} does not exist") from error
            with file:
                yield file
            return
        try:
            with self._client.open(url) as answer:
                yield cast("BinaryIO", answer)
        except MissingError as error:
            raise _Gone(str(error)) from error


@contextlib.contextmanager
def _as_wrong(url: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise _Wrong(f"{url} has other content than the lock file says") from error
