"""Multiboot kernels: told by their header (Multiboot 0.6.96, section 3.1; Multiboot2 2.0, section 3.1). Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple


class _Form(NamedTuple):
    magic: int
    within: int  # bytes at the beginning in which the header must be
    aligned: int
    words: int  # of the header that add up, with its checksum last, to nothing
    name: str


FORMS: Final[Mapping[str, _Form]] = {
    "multiboot": _Form(0x1BADB002, 8 << 10, 4, 3, "Multiboot"),
    "multiboot2": _Form(0xE85250D6, 32 << 10, 8, 4, "Multiboot2"),
}


def has_header(data: bytes, protocol: str) -> bool:
    """Tell whether a kernel has the header of a protocol, checksum and all."""
    form = FORMS[protocol]
    start = min(len(data), form.within)
    magic = form.magic.to_bytes(4, "little")
    at = data.find(magic, 0, start)
    while at >= 0:
        if at % form.aligned == 0 and at + 4 * form.words <= start:
            fields = struct.unpack_from(f"<{form.words}I", data, at)
            if sum(fields) % (1 << 32) == 0:
                return True
        at = data.find(magic, at + 1, start)
    return False


def refusal(data: bytes, protocol: str, arch: str, kind: str) -> str | None:
    """Return why a loader could not start a kernel, None where it could; `kind` is what `magic.kernel` told."""
    if kind not in ("ELF32", "ELF64"):
        return "is no ELF file"
    if kind == "ELF64" and arch == "i386":
        return "is a 64-bit ELF file, and arch: i386 needs a 32-bit one"
    if not has_header(data, protocol):
        other = next((each for each in FORMS if each != protocol and has_header(data, each)), None)
        also = f"; it has one for protocol: {other}" if other else ""
        return f"has no {FORMS[protocol].name} header in its first {FORMS[protocol].within >> 10} KiB{also}"
    return None
