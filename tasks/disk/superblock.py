"""Filesystems, and what else partitions hold, told from their superblocks. Reads bytes only, trusts none of them."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Read = Callable[[int, int], bytes]
"""`read(offset, length)` within a partition; short at its end."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """What a superblock says; sizes in bytes, `free` None where it does not say. Of that `reserved` is not for all."""

    kind: str
    label: str
    uuid: str
    size: int
    free: int | None
    reserved: int = 0

    @property
    def available(self) -> int | None:
        """What anybody may still fill."""
        return None if self.free is None else max(0, self.free - self.reserved)


def probe(read: Read) -> Filesystem | None:
    """Return the filesystem that starts at offset 0; None where there is none that we know."""
    return _ext(read(1024, 1024)) or _fat(read)


def probe_any(read: Read) -> Filesystem | None:
    """Return that, or else whatever a partition is known to hold that is only named here: nothing reads it."""
    head = read(0, 4096)
    return probe(read) or next(filter(None, (each(head) for each in _NAMED)), None) or _btrfs(read(0x10000, 4096))


def _ext(block: bytes) -> Filesystem | None:
    """Linux, Documentation/filesystems/ext4/super.rst."""
    if len(block) < 1024 or block[0x38:0x3A] != b"\x53\xef":
        return None
    compatible, incompatible = struct.unpack_from("<II", block, 0x5C)
    low = [struct.unpack_from("<I", block, at)[0] for at in (4, 12, 8)]  # all, free, reserved
    high = [struct.unpack_from("<I", block, at)[0] if incompatible & 0x80 else 0 for at in (0x150, 0x158, 0x154)]
    size = 1024 << min(struct.unpack_from("<I", block, 0x18)[0], 6)
    kind = "ext4" if incompatible & 0x40 else "ext3" if compatible & 0x4 else "ext2"  # extents; a journal
    return Filesystem(
        kind,
        _text(block[0x78:0x88]),
        str(uuid.UUID(bytes=block[0x68:0x78])),
        (high[0] << 32 | low[0]) * size,
        (high[1] << 32 | low[1]) * size,
        (high[2] << 32 | low[2]) * size,
    )


class FatGeometry(NamedTuple):
    """How a FAT filesystem is laid out: bytes, but for the counts of clusters and of the root's entries."""

    bits: int
    """12, 16 or 32, of each number in its table."""
    size: int
    cluster: int
    clusters: int
    fat_at: int
    root_at: int
    root_entries: int
    root_cluster: int
    """Where the root begins in one of 32 bits; 0 in the others, whose root stands at `root_at`."""
    data_at: int
    """Where cluster 2 is, the first."""

    @property
    def end(self) -> int:
        """The least number in the table that says that no cluster follows."""
        return 0x0FFFFFF8 if self.bits == 32 else (1 << self.bits) - 8


def fat_geometry(read: Read) -> FatGeometry | None:
    """Return how the FAT filesystem that starts at offset 0 is laid out (Microsoft, FAT specification 1.03)."""
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
    root_at = (reserved + copies * (fat16 or fat32)) * width
    data_at = root_at + -(-roots * 32 // width) * width
    clusters = (total - data_at // width) // per_cluster
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    root_cluster = struct.unpack_from("<I", boot, 44)[0] if bits == 32 else 0
    return FatGeometry(
        bits,
        total * width,
        per_cluster * width,
        max(0, clusters),
        reserved * width,
        root_at,
        roots,
        root_cluster,
        data_at,
    )


def _fat(read: Read) -> Filesystem | None:
    found = fat_geometry(read)
    if found is None:
        return None
    boot = read(0, 512)
    serial, label = struct.unpack_from("<I11s", boot, (64 if found.bits == 32 else 36) + 3)
    free = None
    if found.bits == 32:
        info = read(struct.unpack_from("<H", boot, 48)[0] * struct.unpack_from("<H", boot, 11)[0], 512)
        if info[:4] == b"RRaA" and info[484:488] == b"rrAa":
            (count,) = struct.unpack_from("<I", info, 488)
            free = count * found.cluster if count <= found.clusters else None
    uuid_ = f"{serial >> 16:04X}-{serial & 0xFFFF:04X}"
    return Filesystem(f"FAT{found.bits}", _text(label).strip(), uuid_, found.size, free)


def _xfs(head: bytes) -> Filesystem | None:
    if head[:4] != b"XFSB" or len(head) < 512:
        return None
    block, blocks = struct.unpack_from(">IQ", head, 4)
    return Filesystem("xfs", _text(head[108:120]), _uuid(head[32:48]), block * blocks, None)


def _squashfs(head: bytes) -> Filesystem | None:
    found = head[:4] == b"hsqs" and len(head) >= 96
    return Filesystem("squashfs", "", "", struct.unpack_from("<Q", head, 40)[0], None) if found else None


def _luks(head: bytes) -> Filesystem | None:
    if head[:6] not in (b"LUKS\xba\xbe", b"SKUL\xba\xbe") or len(head) < 512:
        return None
    version = struct.unpack_from(">H", head, 6)[0]
    return Filesystem(f"LUKS{version}", _text(head[24:72]) if version == 2 else "", _text(head[168:208]), 0, None)


def _swap(head: bytes) -> Filesystem | None:
    if head[4086:4096] != b"SWAPSPACE2":
        return None
    last = struct.unpack_from("<I", head, 1028)[0]
    return Filesystem("swap", _text(head[1052:1068]), _uuid(head[1036:1052]), (last + 1) * 4096, None)


def _lvm(head: bytes) -> Filesystem | None:
    return Filesystem("lvm", "", "", 0, None) if head[512:520] == b"LABELONE" else None


def _erofs(head: bytes) -> Filesystem | None:
    block = head[1024:1152]
    if block[:4] != b"\xe2\xe1\xf5\xe0" or len(block) < 128:
        return None
    size = struct.unpack_from("<I", block, 36)[0] << min(block[12], 16)
    return Filesystem("erofs", _text(block[64:80]), _uuid(block[48:64]), size, None)


def _verity(head: bytes) -> Filesystem | None:
    found = head[:8] == b"verity\0\0" and len(head) >= 512
    return Filesystem("verity", "", _uuid(head[16:32]), 0, None) if found else None


_NAMED = (_xfs, _squashfs, _luks, _swap, _lvm, _erofs, _verity)


def _btrfs(block: bytes) -> Filesystem | None:
    if block[64:72] != b"_BHRfS_M" or len(block) < 4096:
        return None
    size, used = struct.unpack_from("<QQ", block, 112)
    (taken,) = struct.unpack_from("<Q", block, 217)  # by chunks, whose own room is not told here
    reserved = min(max(0, taken - used), max(0, size - used))
    return Filesystem("btrfs", _text(block[299:555]), _uuid(block[32:48]), size, max(0, size - used), reserved)


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw))


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
