"""What tells an image from all others, where its format wants UUIDs and dates: the disk's content, the recipe's seed.

The same disk of the same recipe is the same image on every host and day; another content has other identifiers, so that
a hypervisor that knows the one does not take the other for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self
from uuid import UUID

from bootsmith.cache.digest.index import index_of
from bootsmith.tasks.disk.formats import beside


class Origin:
    """`content` gives the raw disk's fingerprint; `seed` is what the recipe adds, `epoch` its date, in seconds."""

    def __init__(self, content: Callable[[], str], seed: str, epoch: int) -> None:
        self._content = content
        self._seed = seed
        self.epoch = epoch

    @classmethod
    def of(cls, disk: Path, seed: str, epoch: int) -> Self:
        """Return the origin of what is made of a disk, which is read meanwhile."""
        return cls(beside.begun(partial(_digest, disk)), seed, epoch)

    def digest(self, *words: str) -> bytes:
        """Return 32 bytes for one of the things that an image names. Raises OSError where the disk cannot be read."""
        return hashlib.sha256("\0".join(("bootsmith", self._content(), self._seed, *words)).encode()).digest()

    def uuid(self, *words: str) -> UUID:
        """Return the UUID (RFC 9562, version 8) of one of them. Raises OSError where the disk cannot be read."""
        digest = bytearray(self.digest(*words)[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return UUID(bytes=bytes(digest))


def _digest(disk: Path) -> str:
    with disk.open("rb") as file:
        return index_of(file.fileno()).digest
