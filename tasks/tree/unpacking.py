"""What packed data holds, a piece at a time: a few bytes may unpack to more than fits into memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from bootsmith.tasks.errors import BootsmithError

if TYPE_CHECKING:
    from typing import Protocol

    class _Unpacker(Protocol):
        @property
        def eof(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


PIECE: Final = 1 << 20


class Damaged(BootsmithError):
    """What is packed cannot be unpacked: it breaks off, or holds what its packing never has."""


def _unpacker(packing: str) -> tuple[_Unpacker, type[Exception]]:
    """Return what unpacks a packing, and what it raises where it cannot."""
    match packing:
        case "gzip":
            import zlib

            return zlib.decompressobj(wbits=31), zlib.error
        case "bzip2":
            import bz2

            return bz2.BZ2Decompressor(), OSError
        case "zstd":
            from bootsmith.cache.files import zstandard

            zstd = zstandard.module()
            return zstd.ZstdDecompressor(), zstd.ZstdError
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ if packing == "xz" else lzma.FORMAT_ALONE), lzma.LZMAError


PACKINGS: Final = ("gzip", "zstd", "xz", "lzma", "bzip2")
"""The packings that are unpacked here, as `boot_formats` calls them."""


def unpacked(file: BinaryIO, packing: str) -> Iterator[bytes]:
    """Yield what the packed member at a file's position holds; at the end the file stands right behind it.

    Raises Damaged.
    """
    unpacker, failure = _unpacker(packing)
    while not unpacker.eof:
        data = file.read(PIECE)
        if not data:
            raise Damaged(f"{packing}: it is cut short")
        try:
            yield from _fed(unpacker, data)
        except failure as error:
            raise Damaged(f"{packing}: {error}") from error
    file.seek(-len(unpacker.unused_data), 1)


def _fed(unpacker: _Unpacker, data: bytes) -> Iterator[bytes]:
    """Yield what more of a packed file comes to."""
    while data or not getattr(unpacker, "needs_input", True):
        piece = unpacker.decompress(data, PIECE)
        data = getattr(unpacker, "unconsumed_tail", b"")
        if piece:
            yield piece
        if unpacker.eof:
            return
