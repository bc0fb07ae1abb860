"""The form of a hash tree of dm-verity: superblock, levels and digests, and how a root hash names partitions. Pure.

Linux, Documentation/admin-guide/device-mapper/verity.rst, and cryptsetup's "DMVerity" page: version 1, hash type 1.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

MAGIC: Final = b"verity\0\0"
BLOCK: Final = 4096
"""Bytes of a block, of data and of the tree, of what is made here: the only size that all kernels take."""
DIGITS: Final = 64
"""Of a root hash, which is a SHA-256."""
_SUPERBLOCK: Final = struct.Struct("<8sII16s32sIIQH6x256s168x")
_ALGORITHM: Final = "sha256"
_DIGEST: Final = 32
_LARGEST: Final = 1 << 50
"""Bytes of data beyond which nothing is believed."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a superblock says; `blocks` are those of the data, of BLOCK bytes."""

    uuid: str
    salt: bytes
    blocks: int

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """Where each level of the tree begins and how long it is, in blocks; the lowest, of the data, comes first.

        The highest stands behind the superblock. One block of data has no tree: its digest is the root hash.
        """
        counts, count = [], self.blocks
        while count > 1:
            count = -(-count // (BLOCK // _DIGEST))
            counts.append(count)
        at, found = 1, []
        for count in reversed(counts):
            found.append((at, count))
            at += count
        return tuple(reversed(found))

    @property
    def size(self) -> int:
        """Bytes of the whole tree, its superblock included."""
        return (1 + sum(count for _, count in self.levels)) * BLOCK


def encode(form: Form) -> bytes:
    """Return the superblock, in a block of its own."""
    return _SUPERBLOCK.pack(
        MAGIC, 1, 1, uuid.UUID(form.uuid).bytes, _ALGORITHM.encode(), BLOCK, BLOCK, form.blocks, len(form.salt),
        form.salt,
    ).ljust(BLOCK, b"\0")  # fmt: skip


def decode(head: bytes) -> Form | str | None:
    """Return the form of the tree that begins so; what is wrong with it, or not read here; None where it is none."""
    if head[: len(MAGIC)] != MAGIC:
        return None
    if len(head) < _SUPERBLOCK.size:
        return "it is cut short"
    _, version, kind, name, algorithm, data, tree, blocks, length, salt = _SUPERBLOCK.unpack_from(head)
    if (version, kind, algorithm.rstrip(b"\0"), data, tree) != (1, 1, _ALGORITHM.encode(), BLOCK, BLOCK):
        return "it is of another form than SHA-256 of blocks of 4096 bytes, which is read"
    if not 0 < blocks <= _LARGEST // BLOCK or length > len(salt):
        return "its superblock makes no sense"
    return Form(str(uuid.UUID(bytes=name)), salt[:length], blocks)


def digests(data: bytes, salt: bytes) -> bytes:
    """Return the digests of all blocks of some data, one behind the other."""
    salted, view, found = sha256(salt), memoryview(data), []
    for at in range(0, len(data), BLOCK):
        digest = salted.copy()
        digest.update(view[at : at + BLOCK])
        found.append(digest.digest())
    return b"".join(found)


def partuuids(root_hash: str) -> tuple[str, str]:
    """Return the GUIDs of the partitions of data and tree, by which the Discoverable Partitions Specification has them.

    They are the first and the last 128 bits of the root hash.
    """
    return str(uuid.UUID(root_hash[:32])), str(uuid.UUID(root_hash[-32:]))


def is_root_hash(text: str) -> bool:
    """Tell whether a text is a root hash, as it stands on a command line."""
    return len(text) == DIGITS and all(letter in "0123456789abcdef" for letter in text.lower())
