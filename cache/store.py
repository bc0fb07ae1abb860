"""The store: what was made before, by content. Its form is docs/reference/cache-format.md."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bootsmith.cache import sealed, sparse
from bootsmith.cache.errors import CacheError
from bootsmith.cache.fingerprint import of_bytes, of_descriptor
from bootsmith.cache.temporary import sweep, temporary

KIND = "result 1"
DIGEST = re.compile(r"[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")
BUFFER = 1 << 20
PRIVATE = 0o700  # of what holds images: they may hold password hashes and keys
PUBLIC = 0o755  # of downloads: package tools read them as another user
TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by bootsmith. What is here can be made again; see https://bford.info/cachedir/ for what this file is.
"""


def default_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the store is unless somebody says otherwise: absolute, and not necessarily there yet."""
    if named := environ.get("BOOTSMITH_CACHE"):
        return Path(named).absolute()
    caches = Path(environ.get("XDG_CACHE_HOME", ""))
    if not caches.is_absolute():  # unset, empty, or relative, which the XDG specification tells to ignore
        caches = Path(environ.get("HOME") or Path.home()) / ".cache"
    return caches / "bootsmith"


class Store:
    """Blobs by fingerprint, results by key, downloads by SHA-256, below `root`; made when first written to.

    A stored file appears whole and is never modified. Any number of processes and threads may use one store. What
    cannot be written raises CacheError, what is missing or damaged is an answer: None or False.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._written: dict[Path, None] = {}
        self._ready = False

    # -- blobs

    def has(self, digest: str) -> bool:
        """Tell whether a blob is there; whether it is whole only `fetch` can tell."""
        return self._blob(digest).is_file()

    def put(self, path: Path, digest: str) -> None:
        """Store the file at `path`, whose fingerprint is `digest`; does nothing when it is there already."""
        blob = self._blob(digest)
        if blob.is_file():
            return

        def fill(target: int) -> None:
            with _opened(path) as source:
                sparse.copy(source, target)

        self._add(blob, fill, PRIVATE)

    def put_bytes(self, data: bytes) -> str:
        """Store some bytes as a blob; return its fingerprint."""
        digest = of_bytes(data)
        if not self.has(digest):
            self._add(self._blob(digest), lambda target: _write_all(target, data), PRIVATE)
        return digest

    def get_bytes(self, digest: str) -> bytes | None:
        """Return a blob's content; None when it is missing or damaged."""
        try:
            data = self._blob(digest).read_bytes()
        except OSError:
            return None
        return data if of_bytes(data) == digest else None

    def fetch(self, digest: str, destination: Path) -> bool:
        """Write a blob's content to `destination`, a new file of mode 0644; False when it is missing or damaged.

        The copy itself is verified before it appears. A damaged blob is moved to quarantine.
        """
        return self._fetch(self._blob(digest), destination, digest, of_descriptor)

    # -- results

    def put_result(self, key: str, outputs: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what a key gave: role -> {"hash", "size", ...}. The blobs are stored before, not by this."""
        path = self._result(key)
        with self._writing(path):
            self._prepare(path.parent, PRIVATE)
            body = json.dumps({role: dict(output) for role, output in outputs.items()}).encode()
            sealed.write(path, KIND, body, drafts=self.root / "tmp")
        self._written[path] = None

    def result(self, key: str) -> Mapping[str, Mapping[str, Any]] | None:
        """Return what a key gave, or None where that is not known or its file damaged."""
        body = sealed.read(self._result(key), KIND)
        if body is None:
            return None
        found: Mapping[str, Mapping[str, Any]] = json.loads(body)
        return found

    # -- downloads

    def put_sha256(self, path: Path, sha256: str) -> None:
        """Store a download, verified while it is read; not read when it is there already. Raises ValueError."""
        blob = self._download(sha256)
        if blob.is_file():
            return

        def fill(target: int) -> None:
            found = hashlib.sha256()
            with _opened(path) as source, open(target, "wb", closefd=False) as sink:
                while data := os.read(source, BUFFER):
                    found.update(data)
                    sink.write(data)
            if found.hexdigest() != sha256:
                raise ValueError(f"{path} has the SHA-256 {found.hexdigest()}, not {sha256}")

        self._add(blob, fill, PUBLIC)

    def fetch_sha256(self, sha256: str, destination: Path) -> bool:
        """Write a download to `destination` as `fetch` does."""
        return self._fetch(self._download(sha256), destination, sha256, _sha256)

    def path_sha256(self, sha256: str) -> Path | None:
        """Return the stored file itself, to be read only; it was verified when it was written."""
        blob = self._download(sha256)
        return blob if blob.is_file() else None

    def verify_sha256(self, sha256: str) -> bool:
        """Tell whether a download is there and whole; a damaged one is moved to quarantine."""
        blob = self._download(sha256)
        if blob.is_file() and not _is_intact(blob, sha256, _sha256):
            self._quarantine(blob)
        return blob.is_file()

    # -- durability

    def sync(self) -> None:
        """Make what this object wrote survive a power cut: once, at the end of a run."""
        written, self._written = self._written, {}
        folders = {path.parent: None for path in written}
        for path in [*written, *folders, *{folder.parent: None for folder in folders}]:
            try:
                with _opened(path) as descriptor:
                    os.fsync(descriptor)
            except OSError:
                continue  # removed meanwhile, or not durable here: both only cost making it again

    # -- within

    def _blob(self, digest: str) -> Path:
        return self.root / "blobs" / _named(DIGEST, digest)

    def _result(self, key: str) -> Path:
        return self.root / "results" / _named(DIGEST, key)

    def _download(self, sha256: str) -> Path:
        return self.root / "sha256" / _named(SHA256, sha256)

    def _add(self, blob: Path, fill: Callable[[int], None], mode: int) -> None:
        with self._writing(blob):
            self._prepare(blob.parent, mode)
            with temporary(self.root / "tmp", mode=0o444) as (descriptor, draft):
                fill(descriptor)
                draft.replace(blob)
        self._written[blob] = None

    def _fetch(self, blob: Path, destination: Path, digest: str, digest_of: Callable[[int], str]) -> bool:
        try:
            source = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            with temporary(destination.parent) as (target, draft):
                sparse.copy(source, target)
                if digest_of(target) == digest:
                    draft.replace(destination)
                    return True
        except OSError as error:
            if _is_intact(blob, digest, digest_of):
                raise CacheError(
                    f"{destination} cannot be written: {error.strerror}", "Make room there, or let it be written."
                ) from error
        finally:
            os.close(source)
        if not _is_intact(blob, digest, digest_of):
            self._quarantine(blob)
        return False

    def _quarantine(self, blob: Path) -> None:
        try:
            self._prepare(self.root / "quarantine", PRIVATE)
            blob.replace(self.root / "quarantine" / blob.name)
        except OSError:
            return  # a store that is only read: whoever asks next finds the same

    def _prepare(self, folder: Path, mode: int) -> None:
        """Make a folder of the store, and the store itself. Raises OSError."""
        self._make(self.root / "tmp", PRIVATE)
        if not self._ready:
            sweep(self.root / "tmp")
            tag = self.root / "CACHEDIR.TAG"
            if not tag.exists():
                tag.write_bytes(TAG)
            self._ready = True
        self._make(folder, mode)

    def _make(self, folder: Path, mode: int) -> None:
        if folder == self.root:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            self._make(folder.parent, mode)
            folder.mkdir(mode=mode, exist_ok=True)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CacheError(
                f"the store {self.root} cannot be written: {error.strerror} ({error.filename or path})",
                "Make room there, or let BOOTSMITH_CACHE name a directory you may write.",
            ) from error


def _named(form: re.Pattern[str], digest: str) -> str:
    """Return a digest as a path below its folder; refuse what is none, for it could lead elsewhere."""
    if not form.fullmatch(digest):
        raise ValueError(f"not a digest: {digest!r}")
    return f"{digest[:2]}/{digest}"


def _write_all(target: int, data: bytes) -> None:
    with open(target, "wb", closefd=False) as sink:
        sink.write(data)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sha256(descriptor: int) -> str:
    found = hashlib.sha256()
    position = 0
    while data := os.pread(descriptor, BUFFER, position):
        found.update(data)
        position += len(data)
    return found.hexdigest()


def _is_intact(blob: Path, digest: str, digest_of: Callable[[int], str]) -> bool:
    """Tell whether a stored file can be read, and is what its name says."""
    try:
        with _opened(blob) as descriptor:
            return digest_of(descriptor) == digest
    except OSError:
        return False
