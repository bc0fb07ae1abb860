"""What tells an image from all others, where its format wants UUIDs and dates: the disk's content, the recipe's seed.

The same disk of the same recipe is the same image on every host and day; another content has other identifiers, so that
a hypervisor that knows the one does not take the other for it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

from bootsmith.cache.digest.fingerprint import fingerprint


class Origin(NamedTuple):
    """`content` is the raw disk's fingerprint; `seed` what the recipe adds; `epoch` its date, in seconds."""

    content: str
    seed: str
    epoch: int

    @classmethod
    def of(cls, disk: Path, seed: str, epoch: int) -> Self:
        """Return the origin of what is made of a disk."""
        return cls(fingerprint(disk), seed, epoch)

    def digest(self, *words: str) -> bytes:
        """Return 32 bytes for one of the things that an image names."""
        return hashlib.sha256("\0".join(("bootsmith", self.content, self.seed, *words)).encode()).digest()

    def uuid(self, *words: str) -> UUID:
        """Return the UUID (RFC 9562, version 8) of one of them."""
        digest = bytearray(self.digest(*words)[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return UUID(bytes=bytes(digest))
