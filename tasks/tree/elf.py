"""Programs as ELF files: for which machine, and whether all that is to be loaded is there. Pure.

System V ABI, gABI 4.1, chapters 4 and 5. Only little-endian ones run on x86.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

LOAD: Final = 1
INTERPRETER: Final = 3
NOTE: Final = 4

_LITTLE: Final = 1
_EXECUTABLE: Final = (2, 3)  # ET_EXEC, ET_DYN: at a place of its own, or at any
_I386, _X86_64 = 3, 62
_MACHINES: Final[Mapping[int, str]] = {
    _I386: "i386", _X86_64: "x86-64", 8: "MIPS", 20: "PowerPC", 21: "64-bit PowerPC", 22: "S/390", 40: "ARM",
    183: "arm64", 243: "RISC-V", 258: "LoongArch",
}  # fmt: skip
_TAKEN: Final[Mapping[str, tuple[tuple[int, int], ...]]] = {
    "i386": ((32, _I386),),
    "amd64": ((32, _I386), (64, _X86_64)),
}
"""Widths and machines of what runs on a machine."""


class Segment(NamedTuple):
    """What of a program is loaded where, or said about it: its place in the file and in memory."""

    kind: int
    offset: int
    size: int
    address: int
    room: int


class Program(NamedTuple):
    """The head of an ELF file; its table of segments begins at `table`."""

    bits: int
    kind: int
    machine: int
    entry: int
    table: int
    step: int
    rows: int

    @property
    def table_end(self) -> int:
        """Where the table of segments ends in the file."""
        return self.table + self.step * self.rows

    def segments(self, data: bytes) -> Iterator[Segment]:
        """Yield the segments; `data` holds the table."""
        for number in range(self.rows):
            at = self.table + number * self.step
            if self.bits == 32:
                kind, offset, address, _, size, room = struct.unpack_from("<6I", data, at)
            else:
                kind, _, offset, address, _, size, room = struct.unpack_from("<2I5Q", data, at)
            yield Segment(kind, offset, size, address, room)


def head(data: bytes) -> Program | None:
    """Return the head of an ELF file, None where data does not begin like one."""
    bits = {1: 32, 2: 64}.get(data[4]) if data[:4] == b"\x7fELF" and len(data) >= 64 else None
    if bits is None or data[5] != _LITTLE:
        return None
    kind, machine, _, entry, table = struct.unpack_from("<HHIII" if bits == 32 else "<HHIQQ", data, 16)
    step, count = struct.unpack_from("<HH", data, 42 if bits == 32 else 54)
    if count and step < (32 if bits == 32 else 56):
        return None
    return Program(bits, kind, machine, entry, table, step, count)


def widths(arch: str) -> set[int]:
    """Return how many bits programs have that run on a machine."""
    return {bits for bits, _ in _TAKEN[arch]}


def refusal(data: bytes, arch: str, size: int | None, *, alone: bool = False) -> str | None:
    """Return why a machine could not run a program, None where it could; `alone` is one that nothing links first.

    `data` is all of a file, or its beginning, and `size` how long all of it is, None where nobody knows.
    """
    program = head(data)
    if program is None:
        return "is no ELF file" if data[:4] != b"\x7fELF" else "is a damaged ELF file, or none for x86"
    if program.bits not in widths(arch):
        return f"is a {program.bits}-bit ELF file, and arch: {arch} needs a 32-bit one"
    if (program.bits, program.machine) not in _TAKEN[arch]:
        machine = _MACHINES.get(program.machine, f"machines of the kind {program.machine}")
        return f"is a {program.bits}-bit ELF file for {machine}, and the recipe says arch: {arch}"
    return _incomplete(program, data, size, alone=alone)


def _incomplete(program: Program, data: bytes, size: int | None, *, alone: bool) -> str | None:
    """Return what a program of the right kind lacks."""
    if program.kind not in _EXECUTABLE:
        return "is an ELF file, but no program (an object file, or a core)"
    if size is not None and program.table_end > size:
        return f"is cut short: it has {size} bytes, and its table of segments ends at {program.table_end}"
    if program.table_end > len(data):
        return None  # it is not told yet
    return _unfit(program, [*program.segments(data)], size, alone=alone)


def _unfit(program: Program, segments: list[Segment], size: int | None, *, alone: bool) -> str | None:
    loaded = [each for each in segments if each.kind == LOAD]
    if not any(each.address <= program.entry < each.address + each.room for each in loaded):
        return f"is an ELF file that begins at {program.entry:#x}, where it has nothing loaded"
    end = max(each.offset + each.size for each in loaded)
    if size is not None and end > size:
        return f"is cut short: it has {size} bytes, and what is to be loaded ends at {end}"
    if alone and any(each.kind == INTERPRETER for each in segments):
        return "needs a dynamic linker, and nothing brings it one: link it with -static"
    return None


def notes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the notes of a segment that holds some: whose each is, with a NUL behind it, and of what kind."""
    at = 0
    while at + 12 <= len(data):
        name, content, kind = struct.unpack_from("<III", data, at)
        yield data[at + 12 : at + 12 + name], kind
        at += 12 + (name + 3) // 4 * 4 + (content + 3) // 4 * 4
