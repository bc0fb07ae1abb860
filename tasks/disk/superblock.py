"""Filesystems told from their superblocks: ext2, ext3, ext4 and FAT. Reads bytes only, trusts none of them."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[int, int], bytes]
"""`read(offset, length)` within a partition; short at its end."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """What a superblock says; sizes in bytes, `free` None where it does not say."""

    kind: str
    label: str
    uuid: str
    size: int
    free: int | None


def probe(read: Read) -> Filesystem | None:
    """Return the filesystem that starts at offset 0; None where there is none that we know."""
    return _ext(read(1024, 1024)) or _fat(read)


def _ext(block: bytes) -> Filesystem | None:
    """Linux, Documentation/filesystems/ext4/super.rst."""
    if len(block) < 1024 or block[0x38:0x3A] != b"\x53\xef":
        return None
    compatible, incompatible = struct.unpack_from("<II", block, 0x5C)
    low = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 12)[0]
    high = (0, 0)
    if incompatible & 0x80:  # 64bit
        high = struct.unpack_from("<I", block, 0x150)[0], struct.unpack_from("<I", block, 0x158)[0]
    size = 1024 << min(struct.unpack_from("<I", block, 0x18)[0], 6)
    kind = "ext4" if incompatible & 0x40 else "ext3" if compatible & 0x4 else "ext2"  # extents; a journal
    return Filesystem(
        kind,
        _text(block[0x78:0x88]),
        str(uuid.UUID(bytes=block[0x68:0x78])),
        (high[0] << 32 | low[0]) * size,
        (high[1] << 32 | low[1]) * size,
    )


def _fat(read: Read) -> Filesystem | None:
    """Microsoft, FAT specification 1.03."""
    boot = read(0, 512)
    if len(boot) < 512 or boot[510:512] != b"\x55\xaa":
        return None
    width, per_cluster, reserved, copies, roots, small, _, fat16 = struct.unpack_from("<HBHBHHBH", boot, 11)
    total, fat32 = struct.unpack_from("<II", boot, 32)
    total = small or total
    if (
        width not in (512, 1024, 2048, 4096)
        or per_cluster not in (1, 2, 4, 8, 16, 32, 64, 128)
        or not copies
        or not total
    ):
        return None
    clusters = (total - reserved - copies * (fat16 or fat32) - -(-roots * 32 // width)) // per_cluster
    kind = "FAT12" if clusters < 4085 else "FAT16" if clusters < 65525 else "FAT32"
    at = 64 if kind == "FAT32" else 36
    serial, label = struct.unpack_from("<I11s", boot, at + 3)
    free = None
    if kind == "FAT32":
        info = read(struct.unpack_from("<H", boot, 48)[0] * width, 512)
        if info[:4] == b"RRaA" and info[484:488] == b"rrAa":
            (count,) = struct.unpack_from("<I", info, 488)
            free = count * per_cluster * width if count <= clusters else None
    return Filesystem(kind, _text(label).strip(), f"{serial >> 16:04X}-{serial & 0xFFFF:04X}", total * width, free)


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
