"""Where packed data ends that more bytes may follow: a zstd frame (RFC 8878) or a raw deflate stream (RFC 1951)."""

from __future__ import annotations

from typing import Final

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_RLE: Final = 1


def packed_length(data: bytes) -> int | None:
    """Return how many bytes the frame or stream takes that begins here; None where it does not end."""
    if data.startswith(_ZSTD):
        return _zstd_length(data)
    import zlib

    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        stream.decompress(data)
    except zlib.error:
        return None
    return len(data) - len(stream.unused_data) if stream.eof else None


def _zstd_length(data: bytes) -> int | None:
    """Return a frame's length by its header and those of its blocks."""
    form = data[len(_ZSTD)] if len(data) > len(_ZSTD) else 0
    is_single, has_checksum = form >> 5 & 1, form >> 2 & 1
    at = len(_ZSTD) + 1 + (1 - is_single) + (0, 1, 2, 4)[form & 3] + (is_single, 2, 4, 8)[form >> 6]
    is_last = 0
    while not is_last:
        header = int.from_bytes(data[at : at + 3], "little")
        if at + 3 > len(data):
            return None
        is_last = header & 1
        at += 3 + (1 if header >> 1 & 3 == _RLE else header >> 3)
    at += 4 * has_checksum
    return at if at <= len(data) else None
