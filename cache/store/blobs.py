"""Blobs: files as an index and the chunks it names. Leases, quarantine and words for errors are up to the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bootsmith.cache.digest.index import CHUNK, Chunk, Index, index_of, read, recall, zeros
from bootsmith.cache.files import sparse
from bootsmith.cache.files.threads import share
from bootsmith.cache.store.objects import Damaged, ObjectFolder
from xxhash import xxh3_128_digest

PIECE = 1 << 16  # bytes: so many zeros in a row stay a hole inside a chunk
BLANK = bytes(PIECE)
FEW = 4  # chunks for which threads cost more than they bring


class SourceError(Exception):
    """A file that is to be stored "changed while it was stored" or "cannot be read: ...", it says."""


class Absent(Exception):
    """A chunk is not there, or not any more."""


class Blobs:
    """The folders of indexes and of chunks below a store's root; `made` is told of each file written."""

    def __init__(self, root: Path, made: Callable[[Path], None]) -> None:
        self.indexes = ObjectFolder(root / "indexes", root / "tmp", made)
        self.chunks = ObjectFolder(root / "chunks", root / "tmp", made)

    def index(self, digest: str) -> Index | None:
        """Return a blob's index, or None where it is not there. Raises Damaged."""
        content = self.indexes.read(digest)
        if content is None:
            return None
        index = Index(bytes(content))
        return index if index.is_sound() else None

    def missing(self, index: Index) -> list[Chunk]:
        """Return the chunks of an index that are not there, each once."""
        return [chunk for chunk in unique(index) if not self.chunks.has(chunk.digest.hex())]

    def put(self, source: int, index: Index) -> int:
        """Store an open file that `index` is of; what is there already is not read. Return the bytes its chunks took.

        Raises SourceError, OSError.
        """
        missing = self.missing(index)

        def work(chunks: Iterator[Chunk]) -> None:
            buffer = memoryview(bytearray(CHUNK))
            for chunk in chunks:
                self._add(source, chunk, buffer[: chunk.size])

        share(missing, work, None if len(missing) > FEW else 1)
        self.indexes.add(index.digest, index.content)
        return sum(self.chunks.taken(chunk.digest.hex()) for chunk in missing)

    def _add(self, source: int, chunk: Chunk, buffer: memoryview) -> None:
        digest = chunk.digest.hex()
        if self.chunks.add_clone(digest, source, chunk.start, buffer):
            return
        try:
            content = read(source, buffer, chunk.start)
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror}") from error
        if xxh3_128_digest(content) != chunk.digest:
            raise SourceError("changed while it was stored")
        self.chunks.add(digest, content)

    def fill(self, target: int, index: Index, present: Index) -> None:
        """Let an open file, which holds what `present` says, hold what `index` says; only what differs is written.

        Raises Damaged, Absent, and OSError for the file itself.
        """
        is_new = not present.size
        os.ftruncate(target, index.size)

        def work(chunks: Iterator[Chunk]) -> None:
            buffer = bytearray(CHUNK)
            kept: memoryview | bytes = b""
            for chunk in chunks:
                # What was unpacked is kept until the next is: freed before, its pages would go back to the kernel,
                # which then clears a megabyte again for each chunk, and that takes longer than unpacking.
                kept = self._fill(target, chunk, buffer, is_new=is_new) or kept

        share(index.chunks() if is_new else index.differs(present), work, None if index.size > FEW * CHUNK else 1)

    def _fill(self, target: int, chunk: Chunk, buffer: bytearray, *, is_new: bool) -> memoryview | bytes | None:
        """Write one chunk; return it, if it had to be read."""
        view = memoryview(buffer)[: chunk.size]
        digest = chunk.digest.hex()
        if chunk.digest == zeros(chunk.size):
            sparse.punch(target, chunk.start, chunk.size)
            return None
        if self.chunks.clone(digest, target, chunk.start, view):
            return None
        content = self.chunks.read(digest, view)
        if content is None:
            raise Absent
        if not is_new:
            sparse.punch(target, chunk.start, chunk.size)
        view = memoryview(content)
        for start, end in _filled(content if isinstance(content, bytes) else buffer, chunk.size):
            sparse.write(target, view[start:end], chunk.start + start)
        return content

    def damaged(self, index: Index) -> Iterator[Path]:
        """Yield the files of chunks that an index needs and that are not what their names say."""
        buffer = memoryview(bytearray(CHUNK))
        for chunk in unique(index):
            try:
                self.chunks.read(chunk.digest.hex(), buffer[: chunk.size])
            except Damaged as damaged:
                yield damaged.path

    def content(self, index: Index) -> Iterator[memoryview | bytes]:
        """Yield all a blob holds, at most a chunk at a time, each good until the next. Raises Damaged, Absent."""
        buffer = memoryview(bytearray(CHUNK))
        position = 0
        for chunk in index.chunks():
            yield from _blanks(chunk.start - position)
            found = self.chunks.read(chunk.digest.hex(), buffer[: chunk.size])
            if found is None:
                raise Absent
            yield found
            position = chunk.start + chunk.size
        yield from _blanks(index.size - position)


def identify(source: int, digest: str) -> Index:
    """Return the index of an open file that has this fingerprint. Raises SourceError."""
    try:
        index = recall(digest) or index_of(source)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from error
    if index.digest != digest:
        raise SourceError("changed while it was stored")
    return index


def unique(index: Index) -> list[Chunk]:
    """Return the chunks of an index that are kept in files, each once."""
    return list({chunk.digest: chunk for chunk in index.chunks()}.values())


def _blanks(size: int) -> Iterator[bytes]:
    for left in range(size, 0, -PIECE):
        yield BLANK[:left]


def _filled(content: bytes | bytearray, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what is to be written: all but pieces of nothing but zeros."""
    start = -1
    for piece in range(0, size, PIECE):
        if piece + PIECE <= size and content.startswith(BLANK, piece):
            if start >= 0:
                yield start, piece
            start = -1
        elif start < 0:
            start = piece
    if start >= 0:
        yield start, size
