"""Kernels by hand, for whoever has to tell them apart: ELF files, multiboot headers, the head of a bzImage."""

from __future__ import annotations

import struct

BASE = 0x8048000
_PAGE = 0x1000


def elf(
    *,
    bits: int = 32,
    body: bytes = b"",
    at: int = 64,
    kind: int = 2,
    machine: int = 0,
    interpreter: str = "",
    note: bytes = b"",
) -> bytes:
    """Return an ELF program: its head, the table of its segments at byte `at`, and `body` after the head or that.

    All of it is one segment, to be loaded; an `interpreter` and a `note`, which stands at the end, are a second one.
    """
    machine = machine or {32: 3, 64: 62}[bits]
    kinds = (1, 3) if interpreter else (1, 4) if note else (1,)
    step, head_size = (32, 52) if bits == 32 else (56, 64)
    room = step * len(kinds)
    data = (bytes(64) + (bytes(room) if at == 64 else b"") + body + bytes(1000)).ljust(at + room, b"\0") + note
    size, image = len(data), bytearray(data)
    image[:16] = (b"\x7fELF" + bytes((1 if bits == 32 else 2, 1, 1))).ljust(16, b"\0")
    fields = kind, machine, 1, BASE, at, 0, 0, head_size, step, len(kinds), 0, 0, 0
    struct.pack_into("<HHIIIIIHHHHHH" if bits == 32 else "<HHIQQQIHHHHHH", image, 16, *fields)
    for number, each in enumerate(kinds):
        place, start = at + number * step, len(data) - len(note) if each == 4 else 0
        if bits == 32:
            struct.pack_into("<8I", image, place, each, start, BASE, BASE, size - start, size - start, 5, _PAGE)
        else:
            struct.pack_into("<2I6Q", image, place, each, 5, start, BASE, BASE, size - start, size - start, _PAGE)
    return bytes(image)


def multiboot(*, at: int = 256, flags: int = 3, off: int = 0) -> bytes:
    """Return a 32-bit kernel with a Multiboot header at that byte, its checksum wrong by `off`."""
    magic = 0x1BADB002
    return _with_header(at, struct.pack("<III", magic, flags, (off - magic - flags) % (1 << 32)))


def multiboot2(*, at: int = 256, bits: int = 32) -> bytes:
    """Return a kernel with a Multiboot2 header at that byte."""
    magic, arch, length = 0xE85250D6, 0, 24
    return _with_header(at, struct.pack("<IIII", magic, arch, length, -(magic + arch + length) % (1 << 32)), bits)


def _with_header(at: int, header: bytes, bits: int = 32) -> bytes:
    """Return a kernel with a header at that byte, where the table of segments may have to make room for it."""
    if at < 160:
        return elf(bits=bits, at=160, body=bytes(at - 64) + header)
    return elf(bits=bits, body=bytes(at - (96 if bits == 32 else 120)) + header)


def bzimage(version: str = "6.1.0-9-amd64 (a builder)", *, only_64: bool = True) -> bytes:
    """Return a bzImage with nothing in it: a setup of four sectors, and code of three."""
    data = bytearray(0x1000)
    struct.pack_into("<BHI", data, 0x1F1, 4, 0, (0x1000 - 5 * 512) // 16)
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


def cpio(files: dict[str, bytes] | None = None, *, trailer: bool = True) -> bytes:
    """Return files as an archive that Linux unpacks."""
    members = list((files or {"init": b"#!/bin/sh\n"}).items()) + ([("TRAILER!!!", b"")] if trailer else [])
    made = bytearray()
    for number, (name, data) in enumerate(members):
        fields = (number, 0o100755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        made += b"070701" + b"".join(b"%08X" % each for each in fields) + name.encode() + b"\0"
        made += bytes(-len(made) % 4) + data
        made += bytes(-len(made) % 4)
    return bytes(made)


def efi_program(content: bytes, *, machine: int = 0x8664) -> bytes:
    """Return an EFI program with one section."""
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", machine, 1, 0, 0, 0, 240, 0x22E)
    optional = bytearray(struct.pack("<H", 0x20B).ljust(240, b"\0"))
    struct.pack_into("<II", optional, 32, 4096, 512)
    struct.pack_into("<II", optional, 56, 4096 + -(-len(content) // 4096) * 4096, 512)  # of the image, of the headers
    struct.pack_into("<I", optional, 108, 16)
    section = struct.pack("<8sIIIIIIHHI", b".text", len(content), 4096, len(content), 512, 0, 0, 0, 0, 0x60000020)
    return (head + coff + bytes(optional) + section).ljust(512, b"\0") + content
