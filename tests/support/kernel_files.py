"""Kernels by hand, for whoever has to tell them apart: ELF files, multiboot headers, the head of a bzImage."""

from __future__ import annotations

import struct

BASE = 0x8048000
_PAGE = 0x1000


def elf(*, bits: int = 32, body: bytes = b"") -> bytes:
    """Return what begins like an ELF file, with `body` after the 64 bytes of its head."""
    head = b"\x7fELF" + bytes((1 if bits == 32 else 2, 1, 1))
    return head.ljust(64, b"\0") + body


def multiboot(*, at: int = 64, flags: int = 3, off: int = 0) -> bytes:
    """Return a 32-bit kernel with a Multiboot header at that byte, its checksum wrong by `off`."""
    magic = 0x1BADB002
    header = struct.pack("<III", magic, flags, (off - magic - flags) % (1 << 32))
    return elf().ljust(at, b"\0") + header + bytes(1000)


def multiboot2(*, at: int = 64) -> bytes:
    """Return a 32-bit kernel with a Multiboot2 header at that byte."""
    magic, arch, length = 0xE85250D6, 0, 24
    header = struct.pack("<IIII", magic, arch, length, -(magic + arch + length) % (1 << 32))
    return elf().ljust(at, b"\0") + header + bytes(1000)


def bzimage(version: str = "6.1.0-9-amd64 (a builder)", *, only_64: bool = True) -> bytes:
    """Return the head of a bzImage, with something after it."""
    data = bytearray(0x1000)
    data[0x1FE:0x200] = b"\x55\xaa"
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, 0x020F)
    struct.pack_into("<H", data, 0x20E, 0x400)
    struct.pack_into("<H", data, 0x236, int(only_64))
    text = version.encode() + b"\0"
    data[0x600 : 0x600 + len(text)] = text
    return bytes(data)


def stand_in(says: str) -> bytes:
    """Return a static ELF32 program that prints a line by Mach's own trap and then does nothing, for ever.

    The trap is mach_print, number -30: the text's address on the stack, above a return address that is never used.
    """
    code = bytearray(
        b"\x68\0\0\0\0"  # push the text's address
        b"\x6a\x00"  # push the return address
        b"\xb8" + struct.pack("<i", -30) +  # mov eax, -30
        b"\x9a" + struct.pack("<IH", 0, 7) +  # call through the gate 7:0
        b"\xeb\xfe"  # jump here
    )  # fmt: skip
    code[1:5] = struct.pack("<I", BASE + len(code))
    image = bytes(code) + says.encode() + b"\r\n\0"
    ident = b"\x7fELF\1\1\1".ljust(16, b"\0")
    head = ident + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, BASE, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, _PAGE, BASE, BASE, len(image), len(image), 5, _PAGE)
    return (head + segment).ljust(_PAGE, b"\0") + image
