"""CRC-32C, which btrfs reckons over everything, by the host's libext2fs: Python has none, and by hand takes minutes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from bootsmith.tasks.errors import StageError

Crc32c: TypeAlias = Callable[[int, bytes], int]
"""Goes on from a number over bytes, without turning bits before or after."""
ONES = 0xFFFFFFFF


def load(library: Path) -> Crc32c:
    """Return the function of a libext2fs. Raises StageError."""
    try:
        function = ctypes.CDLL(str(library)).ext2fs_crc32c_le
    except (OSError, AttributeError) as error:
        raise StageError(f"{library} cannot be used: {error}", "Update e2fsprogs to 1.46 or later.") from error
    function.argtypes = (ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
    function.restype = ctypes.c_uint32

    def crc32c(seed: int, data: bytes) -> int:
        found: int = function(seed, data, len(data))
        return found

    return crc32c
