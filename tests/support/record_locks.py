"""Locks as QEMU holds them on an image that it has open: of fcntl(2), on bytes of their own."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(file: Path, byte: int = 100) -> Iterator[None]:
    """Hold one: of another open file, and so somebody else's, whichever process asks."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
        yield
    finally:
        os.close(descriptor)
