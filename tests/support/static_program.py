"""A static program that Linux runs as init: it writes a file, prints a line, and powers the machine off."""

from __future__ import annotations

import struct

BASE = 0x400000
HEADERS = 64 + 56  # of ELF64: the file's, and one segment's
OPEN, WRITE, SYNC, REBOOT = 2, 1, 162, 169  # Linux's system calls on x86-64
CREATE = 0x41  # O_CREAT | O_WRONLY


def init(text: str, writes: str = "/written") -> bytes:
    """Return the program; `writes` is the file it makes before it prints `text`."""
    said, path = text.encode() + b"\n", writes.encode() + b"\0"
    length = len(_code(0, 0, 0))
    at = BASE + HEADERS + length
    code = _code(at, at + len(path), len(said))
    size = HEADERS + length + len(path) + len(said)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64 bits, little-endian
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)  # to be read and run
    return ident + header + segment + code + path + said


def _code(path: int, said: int, length: int) -> bytes:
    return b"".join(
        (
            _call(OPEN, path, CREATE, 0o644),
            _call(WRITE, 1, said, length),
            _call(SYNC, 0, 0, 0),
            _call(REBOOT, 0xFEE1DEAD, 672274793, 0x4321FEDC),  # reboot(2): power off
            b"\xeb\xfe",  # for ever
        )
    )


def _call(number: int, *words: int) -> bytes:
    """Return mov edi, esi, edx and eax, each with a constant, and syscall."""
    loads = zip(b"\xbf\xbe\xba\xb8", (*words, number), strict=True)
    return b"".join(struct.pack("<BI", opcode, word) for opcode, word in loads) + b"\x0f\x05"
