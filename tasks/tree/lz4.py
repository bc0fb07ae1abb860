"""LZ4 blocks unpacked, by the host's own library: Python has none, and by hand it would take a minute for each GiB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from bootsmith.tasks.tree.volume_files import Damaged

LIBRARY: Final = "liblz4"
"""The host's file, as stages declare it."""
Unpack: TypeAlias = Callable[[bytes, int], bytes]
"""What unpacks a block to at most so many bytes. Raises Damaged."""


def load(library: Path) -> Unpack:
    """Return what unpacks a block; it stops at as many bytes as are asked for."""
    import ctypes

    decompress = ctypes.CDLL(str(library)).LZ4_decompress_safe_partial
    decompress.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    decompress.restype = ctypes.c_int

    def unpack(data: bytes, most: int) -> bytes:
        room = ctypes.create_string_buffer(most)
        length = decompress(data, room, len(data), most, most)
        if length < 0:
            raise Damaged("lz4: a block of it cannot be unpacked")
        return room.raw[:length]

    return unpack
