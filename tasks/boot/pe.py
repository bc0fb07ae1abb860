"""EFI programs (PE32+): sections added to one, its digest and its signature. Pure, on bytes.

The format: PE Format (Microsoft); which bytes a signature covers: Windows Authenticode Portable Executable Signature
Format, "Calculating the PE Image Hash". The firmware and the stub read nothing else of it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bootsmith.tasks.errors import StageError

PAGE = 4096
_PE32_PLUS = 0x20B
_X86_64 = 0x8664
_READ_ONLY_DATA = 0x40000040  # IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ
_SIGNED_DATA = 0x0002  # WIN_CERT_TYPE_PKCS_SIGNED_DATA
_REVISION = 0x0200
_LARGEST_UNIT = 1 << 20
_LARGEST_IMAGE = 1 << 30
_ALIGNMENT = 8  # of attribute certificates
_SECTION = struct.Struct("<8sIIIIIIHHI")

# Offsets into the optional header of PE32+.
_SIZE_OF_DATA, _SECTION_ALIGNMENT, _FILE_ALIGNMENT, _SIZE_OF_IMAGE, _SIZE_OF_HEADERS, _CHECKSUM = 8, 32, 36, 56, 60, 64
_SECURITY_DIRECTORY = 112 + 4 * 8


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a program: `address` and `room` are its place in memory, `offset` and `size` that in the file."""

    name: str
    room: int
    address: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Addition:
    """A section to be added; it is given at least `room` bytes of memory."""

    name: str
    data: bytes
    room: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """A program taken apart; `optional` and `table` are where its optional header and its section table begin."""

    data: bytes
    coff: int
    optional: int
    table: int
    sections: tuple[Section, ...]

    def field(self, at: int) -> int:
        """Return a 32-bit field of the optional header."""
        return int(struct.unpack_from("<I", self.data, self.optional + at)[0])

    @property
    def signatures(self) -> tuple[int, int]:
        """Where the table of signatures begins and how long it is; (0, 0) for a program without."""
        offset, size = struct.unpack_from("<II", self.data, self.optional + _SECURITY_DIRECTORY)
        return offset, size

    def content(self, name: str) -> bytes | None:
        """Return a section's content, None where there is none of that name."""
        for each in self.sections:
            if each.name == name:
                return self.data[each.offset : each.offset + min(each.size, each.room)]
        return None


def parse(data: bytes, what: str) -> Program:
    """Take a program apart. Raises StageError where `what` is none for a 64-bit machine."""
    try:
        return _parse(data)
    except (struct.error, ValueError) as why:
        error = "it is cut short" if isinstance(why, struct.error) else why
        raise StageError(
            f"{what} is not a 64-bit EFI program: {error}", "Name one, or install its package anew."
        ) from why


def _parse(data: bytes) -> Program:
    if data[:2] != b"MZ":
        raise ValueError("it does not begin like one")
    (coff,) = struct.unpack_from("<I", data, 0x3C)
    count, optional_size = struct.unpack_from("<H12xH", data, coff + 6)
    optional = coff + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    if data[coff : coff + 4] != b"PE\0\0" or magic != _PE32_PLUS:
        raise ValueError("it does not begin like one")
    if struct.unpack_from("<H", data, coff + 4) != (_X86_64,):
        raise ValueError("it is for other machines than x86-64")
    if optional_size < _SECURITY_DIRECTORY + 8:
        raise ValueError("it has no place for a signature")
    table = optional + optional_size
    sections = tuple(_section(data, table + index * _SECTION.size) for index in range(count))
    if not any(each.size for each in sections):
        raise ValueError("there is nothing in it")
    found = Program(data, coff, optional, table, sections)
    if why := _nonsense(found):
        raise ValueError(why)
    return found


def _nonsense(program: Program) -> str:
    """Return what in a program's headers nothing could be reckoned with."""
    units = program.field(_FILE_ALIGNMENT), program.field(_SECTION_ALIGNMENT)
    if not all(unit and not unit & (unit - 1) and unit <= _LARGEST_UNIT for unit in units):
        return "its sections are aligned to nothing"
    if not program.table <= program.field(_SIZE_OF_HEADERS) <= len(program.data):
        return "its headers are of an impossible size"
    if max(program.field(_SIZE_OF_DATA), *(each.address + each.room for each in program.sections)) > _LARGEST_IMAGE:
        return "it takes more memory than any"
    if any(each.size and each.offset < program.table for each in program.sections):
        return "its sections lie in its headers"
    start, _ = program.signatures
    return "its signature lies in it" if start and not program.table <= start <= len(program.data) else ""


def _section(data: bytes, at: int) -> Section:
    name, room, address, size, offset = _SECTION.unpack_from(data, at)[:5]
    if offset + size > len(data):
        raise ValueError("it is cut short")
    return Section(name.rstrip(b"\0").decode("latin-1"), room, address, size, offset)


def add_sections(program: Program, additions: Sequence[Addition]) -> bytes:
    """Return the program with further sections behind its own, without signature, symbols, or a time stamp."""
    data = program.data
    unit = program.field(_FILE_ALIGNMENT)
    first = min(each.offset for each in program.sections if each.size)
    table_end = program.table + _SECTION.size * (len(program.sections) + len(additions))
    headers = max(program.field(_SIZE_OF_HEADERS), _round_up(table_end, unit))
    shift = max(0, headers - first)  # of all content, to make room for a longer table
    if headers > min(each.address for each in program.sections):
        raise StageError("the EFI stub has no room for more sections", "Use another version of systemd-boot.")
    end = max(each.offset + each.size for each in program.sections)
    body = bytearray(data[first:end])
    body += bytes(-len(body) % unit)
    rows = [_moved(data, program.table + index * _SECTION.size, shift) for index in range(len(program.sections))]
    at = max(each.address + each.room for each in program.sections)
    for each in additions:
        at = _round_up(at, max(PAGE, program.field(_SECTION_ALIGNMENT)))
        size = _round_up(len(each.data), unit)
        room = max(len(each.data), each.room)
        name, place = each.name.encode("ascii"), first + shift + len(body)
        rows.append(_SECTION.pack(name, room, at, size, place, 0, 0, 0, 0, _READ_ONLY_DATA))
        body += each.data + bytes(size - len(each.data))
        at += room
    head = bytearray(data[: program.table]) + b"".join(rows)
    head += bytes(first + shift - len(head))
    struct.pack_into("<HIII", head, program.coff + 6, len(rows), 0, 0, 0)  # no time, no symbols
    written = program.field(_SIZE_OF_DATA) + sum(_round_up(len(each.data), unit) for each in additions)
    for field, value in (
        (_SIZE_OF_DATA, written),
        (_SIZE_OF_IMAGE, _round_up(at, max(PAGE, program.field(_SECTION_ALIGNMENT)))),
        (_SIZE_OF_HEADERS, headers),
    ):
        struct.pack_into("<I", head, program.optional + field, value)
    struct.pack_into("<II", head, program.optional + _SECURITY_DIRECTORY, 0, 0)
    return _with_checksum(head + body, program.optional + _CHECKSUM)


def _moved(data: bytes, at: int, shift: int) -> bytes:
    fields = list(_SECTION.unpack_from(data, at))
    fields[4] += shift if fields[3] else 0
    return _SECTION.pack(*fields)


def _with_checksum(data: bytearray, at: int) -> bytes:
    """Return the program with its checksum: the sum of all 16-bit words, carries added in, and the length."""
    struct.pack_into("<I", data, at, 0)
    # As 65536 is 1 modulo 65535, the sum with its carries is the whole file as one number, modulo 65535.
    total = int.from_bytes(data, "little")
    struct.pack_into("<I", data, at, (total % 0xFFFF or (0xFFFF if total else 0)) + len(data))
    return bytes(data)


def digest(program: Program) -> bytes:
    """Return the SHA-256 that a signature is made over: the file but for its checksum and its signatures."""
    import hashlib

    data, optional = program.data, program.optional
    start, _ = program.signatures
    end = start or len(data)
    headers = program.field(_SIZE_OF_HEADERS)
    found = hashlib.sha256(data[: optional + _CHECKSUM])
    found.update(data[optional + _CHECKSUM + 4 : optional + _SECURITY_DIRECTORY])
    found.update(data[optional + _SECURITY_DIRECTORY + 8 : headers])
    seen = headers
    for each in sorted((each for each in program.sections if each.size), key=lambda each: each.offset):
        found.update(data[each.offset : each.offset + each.size])
        seen += each.size
    found.update(data[seen:end])
    found.update(bytes(-end % _ALIGNMENT))  # as it will be padded for the signature
    return found.digest()


def attach(program: Program, signature: bytes) -> bytes:
    """Return the program with `signature` (PKCS #7, DER) as its only one."""
    start, _ = program.signatures
    data = bytearray(program.data[: start or len(program.data)])
    data += bytes(-len(data) % _ALIGNMENT)
    size = 8 + len(signature)
    entry = struct.pack("<IHH", size, _REVISION, _SIGNED_DATA) + signature + bytes(-size % _ALIGNMENT)
    struct.pack_into("<II", data, program.optional + _SECURITY_DIRECTORY, len(data), len(entry))
    return _with_checksum(data + entry, program.optional + _CHECKSUM)


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
