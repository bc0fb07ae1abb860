"""The index of a file: the digests of its chunks and its length. Its own digest is the file's fingerprint."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from bootsmith.cache.files.sparse import extents
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

CHUNK = 1 << 20
LENGTH = struct.Struct("<Q")
DIGEST = 16  # bytes
KEPT = 8 << 20  # bytes of indexes a process remembers: of 500 GiB of files


class Chunk:
    """A stretch of a file. Like Index no dataclass: making one takes a no-op build half a millisecond."""

    __slots__ = ("digest", "size", "start")

    def __init__(self, start: int, size: int, digest: bytes) -> None:
        self.start = start
        self.size = size
        self.digest = digest


class Index:
    """What a file holds, chunk by chunk; `content` is the form that is stored."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    @property
    def digest(self) -> str:
        return xxh3_128_hexdigest(self.content)

    @property
    def size(self) -> int:
        (size,) = LENGTH.unpack_from(self.content, len(self.content) - LENGTH.size)
        return int(size)

    def is_sound(self) -> bool:
        """Tell whether there are as many digests as the length calls for: who asks knows it to be an index's digest."""
        count, rest = divmod(len(self.content) - LENGTH.size, DIGEST)
        return count >= 0 and not rest and count == -(-self.size // CHUNK)

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks that are not all zeros, in order."""
        size = self.size
        for start, digest in zip(range(0, size, CHUNK), self._digests(), strict=True):
            length = min(CHUNK, size - start)
            if digest != zeros(length):
                yield Chunk(start, length, digest)

    def differs(self, other: Index) -> Iterator[Chunk]:
        """Yield the chunks, such of zeros too, that the file behind `other` does not hold at the same place."""
        size, theirs = self.size, other._digests()
        for start, digest in zip(range(0, size, CHUNK), self._digests(), strict=True):
            if next(theirs, None) != digest:
                yield Chunk(start, min(CHUNK, size - start), digest)

    def patched(self, other: bytes, at: int) -> Index:
        """Return the index of this file with another's chunks, `other` being their digests, from byte `at` on.

        The place has to be a chunk's beginning, and what is put there whole chunks, or all up to the file's end.
        """
        start = at // CHUNK * DIGEST
        return Index(self.content[:start] + other + self.content[start + len(other) :])

    @property
    def digests(self) -> bytes:
        """The digests of all chunks, one behind the other."""
        return self.content[: -LENGTH.size]

    def reread(self, descriptor: int, chunks: Iterable[int]) -> Index:
        """Return the index of an open file of this size that differs from this one in some chunks, by number, alone."""
        size, digests = self.size, bytearray(self.digests)
        buffer = memoryview(bytearray(min(CHUNK, size)))
        for number in sorted(chunks):
            start = number * CHUNK
            if start < size:
                held = read(descriptor, buffer[: min(CHUNK, size - start)], start)
                digests[number * DIGEST : (number + 1) * DIGEST] = xxh3_128_digest(held)
        return Index(bytes(digests) + LENGTH.pack(size))

    def _digests(self) -> Iterator[bytes]:
        content = self.content
        return (content[at : at + DIGEST] for at in range(0, len(content) - LENGTH.size, DIGEST))


_recent: dict[str, bytes] = {}
"""The indexes this process made last, by their digests: each proves itself, so whoever asks may have it."""


class Reckoning:
    """An index as it comes about, for who reads a file anyway: its chunks in order, those of zeros left out at will."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0
        self._digests = bytearray()

    def add(self, start: int, chunk: bytes | bytearray | memoryview) -> None:
        """Take the chunk at `start`: all of it, but of the last one only what the file has."""
        _add_zeros(self._digests, start - self._position)
        self._digests += xxh3_128_digest(chunk)
        self._position = min(start + CHUNK, self._size)  # whatever it has: one cut short is nobody's old content

    def index(self) -> Index:
        """Return the index; what was not added are zeros."""
        _add_zeros(self._digests, self._size - self._position)
        self._position = self._size
        return Index(bytes(self._digests) + LENGTH.pack(self._size))


def index_of(descriptor: int) -> Index:
    """Return the index of an open regular file, holes skipped. Moves the descriptor's position. Raises OSError."""
    size = os.fstat(descriptor).st_size
    found = Reckoning(size)
    buffer = memoryview(bytearray(min(CHUNK, size)))
    for start in _chunks_with_data(descriptor, size):
        found.add(start, read(descriptor, buffer[: min(CHUNK, size - start)], start))
    return found.index()


def index_of_bytes(content: bytes) -> Index:
    """Return the index of a file with this content."""
    digests = [xxh3_128_digest(content[start : start + CHUNK]) for start in range(0, len(content), CHUNK)]
    return Index(b"".join(digests) + LENGTH.pack(len(content)))


def remember(index: Index, digest: str) -> None:
    """Keep an index for who stores the file next; its digest is given, for it was just computed."""
    if index.size <= CHUNK:
        return  # sooner made again
    _recent[digest] = index.content
    while sum(map(len, list(_recent.values()))) > KEPT:
        _recent.pop(next(iter(_recent)), None)


def recall(digest: str) -> Index | None:
    """Return the index with this digest, where this process made it lately."""
    content = _recent.get(digest)
    return None if content is None else Index(content)


@lru_cache(256)
def zeros(size: int) -> bytes:
    """Return the digest of so many zeros, a chunk at most."""
    return xxh3_128_digest(bytes(size))


def read(descriptor: int, view: memoryview, start: int) -> memoryview:
    """Fill `view`, or as much of it as the file has left: one cut short while it is read is nobody's old content."""
    filled = 0
    while filled < len(view):
        size = os.preadv(descriptor, [view[filled:]], start + filled)
        if not size:
            break
        filled += size
    return view[:filled]


def _chunks_with_data(descriptor: int, size: int) -> Iterator[int]:
    chunk = 0
    for start, end in extents(descriptor, 0, size):
        chunk = max(chunk, start - start % CHUNK)
        while chunk < end:
            yield chunk
            chunk += CHUNK


def _add_zeros(digests: bytearray, size: int) -> None:
    whole, rest = divmod(size, CHUNK)
    digests += zeros(CHUNK) * whole
    if rest:
        digests += zeros(rest)
