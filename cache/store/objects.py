"""A folder of files that are named by the digest of their content, plain or packed by zstd."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bootsmith.cache.digest.index import read as read_all
from bootsmith.cache.files import sparse, zstandard
from bootsmith.cache.files.temporary import temporary, write_all
from xxhash import xxh3_128_hexdigest

PACKED = ".zst"
LEVEL = 1  # beyond it time grows faster than room shrinks
PAYS = 7 / 8  # of the size, at most, for reading it to be worth the unpacking
LIMIT = 1 << 30  # bytes of an index: of a file of 64 TiB
BAD_SECTOR = (errno.EIO, errno.EBADMSG, errno.EUCLEAN)  # what a file system says of blocks that do not check out


class Damaged(Exception):
    """A file is not what its name says, or its blocks cannot be read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


class ObjectFolder:
    """The files below `folder`; `made` is told of each one written, `drafts` is where they are written.

    Threads may share one. Writing raises OSError; the folders above must be there.
    """

    def __init__(self, folder: Path, drafts: Path, made: Callable[[Path], None]) -> None:
        self.folder = folder
        self._drafts = drafts
        self._made = made
        self._clones = True

    def path(self, digest: str) -> Path:
        """Return where the content with this digest lies while it is not packed."""
        return self.folder / digest[:2] / digest

    def find(self, digest: str) -> Path | None:
        """Return the file with this content, if it is there and not empty, as power cuts leave files."""
        plain = f"{self.folder}/{digest[:2]}/{digest}"  # not by pathlib: asked a thousand times for one blob
        for path in (plain, plain + PACKED):
            with suppress(OSError):
                if os.stat(path).st_size:  # noqa: PTH116
                    return Path(path)
        return None

    def has(self, digest: str) -> bool:
        """Tell whether `find` would find one."""
        plain = f"{self.folder}/{digest[:2]}/{digest}"
        for path in (plain + PACKED, plain):  # nearly all are packed
            with suppress(OSError):
                if os.stat(path).st_size:  # noqa: PTH116
                    return True
        return False

    # -- writing

    def taken(self, digest: str) -> int:
        """Return the bytes that a file took of the disk when it was added; a clone took none."""
        found = None if self._clones else self.find(digest)
        return found.stat().st_blocks * 512 if found else 0

    def add(self, digest: str, content: memoryview | bytes) -> None:
        """Write a file of this content, which the caller has verified."""
        packed = zstandard.module().compress(content, LEVEL)
        pays = len(packed) <= len(content) * PAYS
        with temporary(self._drafts, mode=0o444) as (descriptor, draft):
            write_all(descriptor, packed if pays else content)
            self._place(draft, self.path(digest + PACKED if pays else digest))

    def add_clone(self, digest: str, source: int, start: int, buffer: memoryview) -> bool:
        """Write a file that shares its blocks with a stretch of `source`, as long as `buffer`; False where none can.

        What was cloned is read back, for the source may have changed: False too, and nothing written.
        """
        if not self._clones:
            return False
        with temporary(self._drafts, mode=0o444) as (descriptor, draft):
            if not sparse.clone(source, start, len(buffer), descriptor, 0):
                self._clones = False
                return False
            is_whole = os.fstat(descriptor).st_size == len(buffer)
            if not is_whole or xxh3_128_hexdigest(read_all(descriptor, buffer, 0)) != digest:
                return False
            self._place(draft, self.path(digest))
        return True

    def _place(self, draft: Path, path: Path) -> None:
        try:
            draft.replace(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft.replace(path)
        self._made(path)

    # -- reading

    def read(self, digest: str, buffer: memoryview | None = None) -> memoryview | bytes | None:
        """Return the content with this digest, verified, or None where it is not there; `buffer` may come to hold it.

        `buffer` is as long as the content; without it the content may be of any length up to LIMIT. Raises Damaged.
        """
        path = self.find(digest)
        if path is None:
            return None
        try:
            return _load(path, digest, buffer)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in BAD_SECTOR:
                raise Damaged(path) from error
            return None  # not ours to read, or no more files to be had: not the content's fault

    def verify(self, path: Path) -> None:
        """Read a file of this folder. Raises Damaged, OSError."""
        _load(path, path.name.removesuffix(PACKED), None)

    def clone(self, digest: str, target: int, start: int, buffer: memoryview) -> bool:
        """Let `target` share the blocks of the file with this content; False where none can, or is none.

        What came of it is read back into `buffer`, as long as the content. Raises Damaged, or OSError for `target`.
        """
        if not self._clones:
            return False
        path = self.path(digest)
        try:
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False  # packed, perhaps
        try:
            if os.fstat(source).st_size != len(buffer):
                raise Damaged(path)
            if not sparse.clone(source, 0, len(buffer), target, start):
                self._clones = False
                return False
        finally:
            os.close(source)
        if xxh3_128_hexdigest(read_all(target, buffer, start)) != digest:
            raise Damaged(path)
        return True


def _load(path: Path, digest: str, buffer: memoryview | None) -> memoryview | bytes:
    """Return what a file holds, unpacked and verified. Raises Damaged, OSError."""
    limit = LIMIT if buffer is None else len(buffer)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise Damaged(path)
        content: memoryview | bytes | None
        content = read_all(descriptor, memoryview(bytearray(size)) if buffer is None else buffer[:size], 0)
    finally:
        os.close(descriptor)
    if path.suffix == PACKED:
        content = _unpack(content, limit)
    if content is None or xxh3_128_hexdigest(content) != digest:
        raise Damaged(path)
    return content


def _unpack(packed: memoryview | bytes, limit: int) -> bytes | None:
    """Return what a zstd frame holds, `limit` bytes at most (a damaged header may promise any); None if damaged."""
    zstd = zstandard.module()
    try:
        size = zstd.get_frame_info(packed).decompressed_size
        return zstd.decompress(packed) if size is not None and size <= limit else None
    except zstd.ZstdError:
        return None
