"""What a kernel or an initrd is, told by its first bytes, never by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PACKED: Final[Mapping[str, bytes]] = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\0",
    "lz4": b"\x02\x21\x4c\x18",  # the older form, which Linux takes
    "lzma": b"\x5d\0\0",
    "bzip2": b"BZh",
    "lzo": b"\x89LZO",
}


def packing(data: bytes) -> str | None:
    """Return how data is packed, None where it is not."""
    return next((name for name, magic in PACKED.items() if data.startswith(magic)), None)


def kernel(data: bytes) -> str:
    """Return what a kernel is: bzImage, ELF32, ELF64, or "" for none of these."""
    if data[0x202:0x206] == b"HdrS" and data[0x1FE:0x200] == b"\x55\xaa":
        return "bzImage"
    if data[:4] == b"\x7fELF":
        return {b"\1": "ELF32", b"\2": "ELF64"}.get(data[4:5], "")
    return ""


def initrd(data: bytes) -> str:
    """Return what an initrd begins with: cpio, the name of a packing, or "" for what Linux would not take."""
    return "cpio" if data[:6] in (b"070701", b"070702") else packing(data) or ""
