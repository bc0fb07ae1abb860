"""The store: what was made before, by content. Its form is docs/reference/cache-format.md."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bootsmith.cache.digest.index import Index, index_of, index_of_bytes
from bootsmith.cache.errors import CacheError, Unwritable
from bootsmith.cache.files import durable
from bootsmith.cache.files.temporary import sweep, temporary, write, write_all
from bootsmith.cache.store import result
from bootsmith.cache.store.blobs import Absent, Blobs, SourceError, identify, unique
from bootsmith.cache.store.lease import Lease
from bootsmith.cache.store.location import PRIVATE
from bootsmith.cache.store.objects import Damaged
from bootsmith.cache.store.result import Outputs
from bootsmith.cache.store.verification import BUFFER, DIGEST, SHA256, Damage, damages, is_download

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
PUBLIC = 0o755  # of downloads: package tools read them as another user
TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by bootsmith. What is here can be made again; see https://bford.info/cachedir/ for what this file is.
"""


class Store:
    """Blobs by fingerprint, results by key, downloads by SHA-256, below `root`; made when first written to.

    A stored file appears whole and is never modified. Any number of processes and threads may use one store. What
    cannot be written raises CacheError (Unwritable, where nothing can), what is missing or damaged is an answer: None
    or False.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lease = Lease(root)
        self._written: dict[Path, None] = {}
        self._ready = False
        self._blobs = Blobs(root, self._note)

    # -- blobs

    def index(self, digest: str) -> Index | None:
        """Return what a blob holds, chunk by chunk; None where it is not there, or damaged."""
        return self._index(digest)

    def has(self, digest: str) -> bool:
        """Tell whether a blob and all its chunks are there; whether they are whole only `fetch` can tell."""
        index = self._index(digest)
        return index is not None and not self._blobs.missing(index)

    def put(self, path: Path, digest: str) -> int:
        """Store the file at `path`, whose fingerprint is `digest`; return the bytes it took, 0 when it is there.

        Chunks that are there are not written again, and not even read where this process made the fingerprint.
        """
        _named(DIGEST, digest)
        try:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise CacheError(f"{path} cannot be read: {error.strerror}") from error
        try:
            with self._writing():
                return self._put(source, digest, str(path))
        finally:
            os.close(source)

    def put_bytes(self, content: bytes) -> str:
        """Store what a file with this content holds; return its fingerprint."""
        digest = index_of_bytes(content).digest
        with self._writing():
            source = os.memfd_create("blob", os.MFD_CLOEXEC)
            try:
                write_all(source, content)
                self._put(source, digest, "memory")
            finally:
                os.close(source)
        return digest

    def _put(self, source: int, digest: str, name: str) -> int:
        """Store an open file and return the bytes it took. Raises CacheError, OSError."""
        self._prepare("indexes", "chunks")
        self.lease.hold(f"blobs/{digest}")
        if self.has(digest):
            return 0
        try:
            index = identify(source, digest)
            self.lease.hold(*(f"chunks/{chunk.digest.hex()}" for chunk in unique(index)))
            return self._blobs.put(source, index)
        except SourceError as error:
            raise CacheError(f"{name} {error}", "Run the same command again when nothing else writes there.") from error

    def fetch(self, digest: str, destination: Path, onto: Path | None = None) -> bool:
        """Write a blob's content to `destination`, a new file of mode 0644; False when it is missing or damaged.

        `onto` is an older version of the same file, and may be the one at `destination`: it is used up, and only what
        differs is written. Nothing appears that was not read back. A damaged chunk is moved to quarantine. Raises
        CacheError where the destination cannot be written.
        """
        self.lease.hold(f"blobs/{_named(DIGEST, digest)}")
        index = self._index(digest)
        if index is None or self._blobs.missing(index):
            return False
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            with temporary(destination.parent, onto=onto) as (target, draft):
                self._blobs.fill(target, index, index_of(target))
                if index_of(target).content == index.content:
                    draft.replace(destination)
                    return True
        except (Damaged, Absent):
            for damaged in self._blobs.damaged(index):  # all at once: else it would be made again for each
                self._quarantine(damaged)
        except OSError as error:
            raise CacheError(
                f"{destination} cannot be written: {error.strerror}", "Make room there, or let it be written."
            ) from error
        return False

    def get_bytes(self, digest: str) -> bytes | None:
        """Return a blob's content, or None where it is missing or damaged."""
        content = bytearray()
        return bytes(content) if self._read(digest, content.extend) else None

    def sha256(self, digest: str) -> str | None:
        """Return the SHA-256 of a blob, its name where it leaves this machine; None where it is missing or damaged."""
        import hashlib  # loads OpenSSL; most builds take no SHA-256

        found = hashlib.sha256()
        return found.hexdigest() if self._read(digest, found.update) else None

    def weight(self, digest: str) -> int | None:
        """Return the bytes that a blob takes at most where it is fetched: holes apart; None without a sound index."""
        index = self._index(digest)
        return None if index is None else sum(chunk.size for chunk in index.chunks())

    def chunks(self, digest: str) -> tuple[str, ...] | None:
        """Return the digests of the chunks that a blob needs, each once; None where it has no sound index."""
        index = self._index(digest)
        return None if index is None else tuple(chunk.digest.hex() for chunk in unique(index))

    def _read(self, digest: str, take: Callable[[memoryview | bytes], None]) -> bool:
        """Hand over a blob piece by piece; False where it is missing or damaged, however much was handed over."""
        self.lease.hold(f"blobs/{_named(DIGEST, digest)}")
        index = self._index(digest)
        if index is None:
            return False
        try:
            for piece in self._blobs.content(index):
                take(piece)
        except (Damaged, Absent):
            for damaged in self._blobs.damaged(index):
                self._quarantine(damaged)
            return False
        return True

    def _index(self, digest: str) -> Index | None:
        _named(DIGEST, digest)
        try:
            return self._blobs.index(digest)
        except Damaged as damaged:
            self._quarantine(damaged.path)
            return None

    # -- results

    def put_result(self, key: str, outputs: Outputs) -> None:
        """Keep what a key gave: role -> {"hash", "size", ...}. The blobs are stored before, not by this."""
        _named(DIGEST, key)
        with self._writing():
            self._prepare(f"results/{key[:2]}")
            self.lease.hold(f"results/{key}")
            result.write(self.root, key, outputs)
        self._note(result.location(self.root, key))

    def result(self, key: str) -> Outputs | None:
        """Return what a key gave, or None where that is not known or its file damaged."""
        self.lease.hold(f"results/{_named(DIGEST, key)}")
        found = result.read(self.root, key)
        if found is not None:
            _touch(result.location(self.root, key))
        return found

    # -- downloads

    def put_sha256(self, path: Path, sha256: str) -> None:
        """Store a download, verified while it is read; not read when it is there already. Raises ValueError."""
        import hashlib

        stored = self._download(sha256)
        with self._writing():
            self._prepare(f"sha256/{sha256[:2]}")
            self.lease.hold(f"sha256/{sha256}")
            if stored.is_file():
                return
            with _opened(path) as source, temporary(self.root / "tmp", mode=0o444) as (target, draft):
                found = hashlib.sha256()
                while data := os.read(source, BUFFER):
                    found.update(data)
                    write_all(target, data)
                if found.hexdigest() != sha256:
                    raise ValueError(f"{path} has the SHA-256 {found.hexdigest()}, not {sha256}")
                draft.replace(stored)
        self._note(stored)

    def path_sha256(self, sha256: str) -> Path | None:
        """Return the stored file itself, to be read only; it was verified when it was written."""
        path = self._download(sha256)
        self.lease.hold(f"sha256/{sha256}")
        if not path.is_file():
            return None
        _touch(path)
        return path

    def verify_sha256(self, sha256: str) -> bool:
        """Tell whether a download is there and whole; a damaged one is moved to quarantine."""
        path = self.path_sha256(sha256)
        if path is None:
            return False
        if is_download(path):
            return True
        self._quarantine(path)
        # There may be another by now, of somebody quicker; in a store that is only read the damaged one stays.
        return path.is_file() and is_download(path)

    def drafts(self) -> Path:
        """Return a folder for downloads that are on their way. Raises CacheError, Unwritable where none can be kept."""
        folder = self.root / "tmp"
        with self._writing():
            self._prepare("sha256")
            with temporary(folder):
                return folder

    # -- all of it

    def verify(self, *, quarantine: bool = False) -> Iterator[Damage]:
        """Read everything; yield what is damaged, and exactly that. It is moved out of the way only where told to."""
        for damage in damages(self.root, self._blobs):
            if quarantine:
                self._quarantine(damage.path)
            yield damage

    def sync(self) -> int:
        """Make what this object wrote survive a power cut: once, at the end of a run. Return its bytes on disk."""
        written, self._written = self._written, {}
        durable.sync(written, self.root)
        size = 0
        for path in written:
            with suppress(OSError):
                size += path.stat().st_blocks * 512
        return size

    # -- within

    def _download(self, sha256: str) -> Path:
        return self.root / "sha256" / _named(SHA256, sha256)[:2] / sha256

    def _note(self, path: Path) -> None:
        self._written[path] = None

    def _quarantine(self, path: Path) -> None:
        """Take a damaged file out of the way; in a store that is only read whoever asks next finds the same."""
        with suppress(OSError):
            try:
                self._prepare("quarantine")
                path.replace(self.root / "quarantine" / path.name)
            except OSError:
                path.unlink()  # no room for a folder

    def _prepare(self, *folders: str) -> None:
        """Make folders of the store, and the store itself. Raises OSError."""
        self.root.mkdir(parents=True, exist_ok=True)
        for name in ("tmp", *folders):
            path = self.root
            for part in name.split("/"):
                path /= part
                if not path.is_dir():
                    path.mkdir(mode=PUBLIC if name.startswith("sha256") else PRIVATE, exist_ok=True)
        if not self._ready:
            sweep(self.root / "tmp")
            tag = self.root / "CACHEDIR.TAG"
            if not tag.exists():
                write(tag, TAG, drafts=self.root / "tmp")
            self._ready = True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = Unwritable if error.errno in REFUSED else CacheError
            raise kind(
                f"the store {self.root} cannot be written: {error.strerror}{_at(error)}",
                "Make room there, or let BOOTSMITH_CACHE name a directory you may write.",
            ) from error


def _named(form: re.Pattern[str], digest: str) -> str:
    """Return a digest; refuse what is none, for as a name it could lead elsewhere. Raises ValueError."""
    if not form.fullmatch(digest):
        raise ValueError(f"not a digest: {digest!r}")
    return digest


def _touch(path: Path) -> None:
    """Note that a file was used now, for gc to see what was not; where that cannot be noted it merely seems older."""
    with suppress(OSError):
        os.utime(path)


def _at(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
