"""A bzImage, Linux as loaders on x86 take it: what its header says of it, and whether the file holds all of that. Pure.

Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"; a signature for UEFI stands behind all of it.
"""

from __future__ import annotations

import struct
from typing import Final

from bootsmith.tasks.tree import boot_formats

_FOR_64_BITS: Final = 1
_SECTOR, _PARAGRAPH = 512, 16
_HEADER: Final = 0x268
"""Bytes within which the header ends, of all its versions."""
_OTHERS: Final = (
    (0x38, b"ARM\x64", "is a Linux for arm64 machines"),
    (0x38, b"RSC\x05", "is a Linux for RISC-V machines"),
    (0x04, b"zimg", "is a Linux packed for other machines than x86"),
    (0x00, b"\x27\x05\x19\x56", "is an image for U-Boot"),
    (0x00, b"MZ", "is an EFI program but no Linux by itself, as a unified kernel image is none"),
)
_WANTED: Final = "what is needed is a bzImage, as make bzImage or a distribution's /boot/vmlinuz-* has it"


def refusal(data: bytes, arch: str, size: int | None) -> str | None:
    """Return why no loader could start this as Linux, None where it could.

    `data` is all of a file, or its beginning, and `size` how long all of it is, None where nobody knows.
    """
    kind = boot_formats.kernel(data)
    if kind != "bzImage":
        packed = boot_formats.packing(data)
        what = f"is a Linux that no loader takes ({kind})" if kind else "is no Linux"
        what = next((other for at, magic, other in _OTHERS if data[at : at + len(magic)] == magic), what)
        return f"{f'is packed by {packed}' if packed else what}: {_WANTED}"
    if len(data) < _HEADER:
        return f"is cut short: it ends within its header, after {len(data)} bytes"
    if arch == "i386" and needs_64_bits(data):
        return "is a Linux for 64-bit machines, and the recipe says arch: i386"
    wanted = _length(data)
    if wanted is None:
        return "is no Linux: its header says that no code follows"
    if size is not None and size < wanted:
        return f"is cut short: it has {size} bytes, and its header tells of {wanted}"
    return None


def _length(data: bytes) -> int | None:
    """Return how many bytes a bzImage has at least by what it says itself, None where there is no code in it."""
    sectors = data[0x1F1] or 4
    (version,) = struct.unpack_from("<H", data, 0x206)
    (paragraphs,) = struct.unpack_from("<I" if version >= 0x0204 else "<H", data, 0x1F4)
    code = paragraphs * _PARAGRAPH
    if version < 0x0208:
        code = max(0, code - (_PARAGRAPH - 1))  # the last paragraph was not always filled
    return max((sectors + 1) * _SECTOR + code, _signed(data)) if code else None


def _signed(data: bytes) -> int:
    """Return where the signature of an EFI program ends, 0 where it has none."""
    (start,) = struct.unpack_from("<I", data, 0x3C)
    if data[:2] != b"MZ" or data[start : start + 4] != b"PE\0\0":
        return 0
    optional = start + 24
    directory = {0x10B: optional + 96 + 32, 0x20B: optional + 112 + 32}.get(
        int.from_bytes(data[optional : optional + 2], "little")
    )
    if directory is None or directory + 8 > len(data):
        return 0
    return sum(struct.unpack_from("<II", data, directory))


def version(data: bytes) -> str:
    """Return the version a bzImage says it is, "" where it says none."""
    if len(data) < _HEADER:
        return ""
    (offset,) = struct.unpack_from("<H", data, 0x20E)
    text = data[offset + 0x200 : offset + 0x300].partition(b"\0")[0] if offset else b""
    return text.decode("ascii", "replace").partition(" ")[0]


def needs_64_bits(data: bytes) -> bool:
    """Tell whether a bzImage runs in 64-bit mode only."""
    (protocol,) = struct.unpack_from("<H", data, 0x206)
    (flags,) = struct.unpack_from("<H", data, 0x236)
    return protocol >= 0x020C and bool(flags & _FOR_64_BITS)
