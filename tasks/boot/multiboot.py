"""Multiboot kernels: told by their header (Multiboot 0.6.96, section 3.1; Multiboot2 2.0, section 3.1). Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from bootsmith.tasks.tree import elf


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

_TASK: Final = re.compile(r"\$\(([\w-]+=)?task-create\)")


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


def refusal(protocol: str, data: bytes, arch: str, size: int | None) -> str | None:
    """Return why a loader could not start a kernel, None where it could.

    `data` is all of a file, or its beginning, and `size` how long all of it is, None where nobody knows.
    """
    form, why = FORMS[protocol], elf.refusal(data, arch, size)
    program = elf.head(data)
    if program is None or program.bits not in elf.widths(arch):
        return why
    if not has_header(data, protocol):
        other = next((each for each in FORMS if each != protocol and has_header(data, each)), None)
        also = f"; it has one for protocol: {other}" if other else ""
        return f"has no {form.name} header in its first {form.within >> 10} KiB{also}"
    if program.table_end > form.within:
        return f"is an ELF file whose table of segments is not in its first {form.within >> 10} KiB"
    return why


def module_refusal(data: bytes, args: str, arch: str, size: int) -> str | None:
    """Return why a kernel could not use one of its modules, None where it could, or nobody but itself knows.

    `data` is all of a file, or its beginning, and `size` how long all of it is. GNU Mach makes a task of what is
    called so among the module's words, and runs it as it is.
    """
    if not data:
        return "is empty"
    return elf.refusal(data, arch, size, alone=True) if _TASK.search(args) else None
