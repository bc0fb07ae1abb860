"""Blocks of filesystems that are packed, unpacked one by one: a few bytes may hold more than there is room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_MEMORY: Final = 256 << 20
"""Bytes that unpacking xz may take: many times what a block of a MiB needs."""

Unpack = Callable[[bytes, int], bytes]
"""Returns what a block unpacks to, of which no more is made than so many bytes. Raises ValueError."""


def unpacker(packing: str) -> Unpack | None:
    """Return what unpacks what zlib, zstd, xz or lzma packed; None for another packing."""
    match packing:
        case "zlib":
            return _inflate
        case "zstd":
            return _zstd
        case "xz" | "lzma":
            return lambda data, most: _xz(data, most, alone=packing == "lzma")
        case _:
            return None


def _inflate(data: bytes, most: int) -> bytes:
    import zlib

    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error as error:
        raise ValueError(error) from error


def _zstd(data: bytes, most: int) -> bytes:
    from bootsmith.cache.files import zstandard

    zstd = zstandard.module()
    try:
        found: bytes = zstd.ZstdDecompressor().decompress(data, most)
    except zstd.ZstdError as error:
        raise ValueError(error) from error
    return found


def _xz(data: bytes, most: int, *, alone: bool) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE if alone else lzma.FORMAT_XZ, _MEMORY).decompress(data, most)
    except (lzma.LZMAError, EOFError) as error:
        raise ValueError(error) from error
