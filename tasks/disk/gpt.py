"""The GUID partition table, as bytes: written and read (UEFI 2.10, chapter 5.3), with the protective MBR before it."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SECTOR = 512
SECTORS = (SECTOR, 4096)
"""Bytes that a disk's sector may have, by which a table counts; the usual number first."""
ENTRIES = 128
ENTRY_SIZE = 128
NAME_UNITS = 36
"""UTF-16 code units a partition's name may have."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_REVISION = 0x00010000


@dataclass(frozen=True, slots=True)
class Slot:
    """One partition of a table; `start` and `size` in bytes, GUIDs in lower case, `attributes` the 64-bit field.

    `number` is its place in a table that was read, from 1; a table may have free places between.
    """

    start: int
    size: int
    type: str
    guid: str
    name: str = ""
    attributes: int = 0
    number: int = field(default=0, compare=False)


class Table(NamedTuple):
    """A table read back; `problems` says what is damaged, in words. It counts sectors of `sector` bytes."""

    guid: str
    slots: tuple[Slot, ...]
    problems: tuple[str, ...] = ()
    sector: int = SECTOR


def first_usable(sector: int = SECTOR) -> int:
    """Return the first sector that a partition may use; the last is as many before the disk's end, less one."""
    return 2 + ENTRIES * ENTRY_SIZE // sector


def last_usable(disk: int, sector: int = SECTOR) -> int:
    """Return the last sector a partition may use on a disk of so many bytes."""
    return disk // sector - first_usable(sector)


def encode(disk: int, guid: str, slots: Sequence[Slot], sector: int = SECTOR) -> tuple[bytes, bytes]:
    """Return what stands at the start and at the very end of a disk of so many bytes; places that slots have stay."""
    sectors = disk // sector
    if max([len(slots), *(slot.number for slot in slots)]) > ENTRIES:
        raise ValueError(f"more than {ENTRIES} partitions")
    places = bytearray(ENTRIES * ENTRY_SIZE)
    for index, slot in enumerate(slots):
        at = ((slot.number or index + 1) - 1) * ENTRY_SIZE
        places[at : at + ENTRY_SIZE] = _encode_slot(slot, sector)
    array = bytes(places)

    def header(own: int, other: int, array_at: int) -> bytes:
        fields = (
            own, other, first_usable(sector), last_usable(disk, sector), uuid.UUID(guid).bytes_le,
            array_at, ENTRIES, ENTRY_SIZE, zlib.crc32(array),
        )  # fmt: skip
        blank = _HEADER.pack(b"EFI PART", _REVISION, _HEADER.size, 0, 0, *fields)
        return _HEADER.pack(b"EFI PART", _REVISION, _HEADER.size, zlib.crc32(blank), 0, *fields).ljust(sector, b"\0")

    backup_array = sectors - 1 - len(array) // sector
    start = _protective_mbr(sectors).ljust(sector, b"\0") + header(1, sectors - 1, 2) + array
    return start, array + header(sectors - 1, 1, backup_array)


def _encode_slot(slot: Slot, sector: int = SECTOR) -> bytes:
    name = slot.name.encode("utf-16-le")
    if len(name) > 2 * NAME_UNITS:
        raise ValueError(f"partition name {slot.name!r} is longer than {NAME_UNITS} characters")
    first = slot.start // sector
    return _ENTRY.pack(
        uuid.UUID(slot.type).bytes_le,
        uuid.UUID(slot.guid).bytes_le,
        first,
        first + slot.size // sector - 1,
        slot.attributes,
        name,
    )


def _protective_mbr(sectors: int) -> bytes:
    # One entry of type 0xEE over the whole disk; its end as cylinder, head and sector is unrepresentable: 0xFFFFFF.
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def decode(read: Callable[[int, int], bytes], disk: int) -> Table | None:
    """Return the table of a disk of so many bytes, `read(offset, length)` giving its content; None where it has none.

    The backup is used, and the damage named, where the primary is broken.
    """
    return next(filter(None, (_decode(read, disk, sector) for sector in SECTORS)), None)


def _decode(read: Callable[[int, int], bytes], disk: int, sector: int) -> Table | None:
    problems: list[str] = []
    tables = []
    for name, at in (("primary", 1), ("backup", disk // sector - 1)):
        found = _decode_at(read, at, sector)
        if isinstance(found, str):
            problems.append(f"{name} GPT: {found}")
        else:
            tables.append(found)
    if not tables:
        return None
    if len(tables) == 2 and tables[0] != tables[1]:
        problems.append("primary and backup GPT differ")
    guid, slots, end = tables[0]
    if len(slots) > ENTRIES:
        problems.append(f"there are {len(slots)} partitions, of which the first {ENTRIES} are read")
        slots = slots[:ENTRIES]
    if slots and slots[-1].number > ENTRIES:
        problems.append(f"partition {slots[-1].number} stands beyond the {ENTRIES} places that tables have")
    if end > disk:
        problems.append(f"the table is for a larger disk: it reaches to byte {end}, the disk only to {disk}")
    return Table(guid, slots, tuple(problems), sector)


def _decode_at(read: Callable[[int, int], bytes], at: int, sector: int) -> tuple[str, tuple[Slot, ...], int] | str:
    """Return a table's GUID, its slots and the byte where its partitions must have ended, or what is wrong with it."""
    raw = read(at * sector, sector) if at > 0 else b""
    if len(raw) < sector or raw[:8] != b"EFI PART":
        return "no header"
    _, _, length, crc, _, own, _, _, last, guid, array_at, count, width, array_crc = _HEADER.unpack_from(raw)
    if not _HEADER.size <= length <= sector or zlib.crc32(raw[:16] + bytes(4) + raw[20:length]) != crc:
        return "its header's checksum is wrong"
    if own != at:
        return f"its header says it stands at sector {own}, not {at}"
    if width < ENTRY_SIZE or count * width > 1 << 20:
        return "its entries are of an impossible size"
    array = read(array_at * sector, count * width)
    if zlib.crc32(array) != array_crc:
        return "its entries' checksum is wrong"
    entries = (array[index * width : index * width + ENTRY_SIZE] for index in range(count))
    slots = tuple(_decode_slot(entry, number, sector) for number, entry in enumerate(entries, 1) if any(entry[:16]))
    return str(uuid.UUID(bytes_le=guid)), slots, (last + 1) * sector


def _decode_slot(raw: bytes, number: int, sector: int) -> Slot:
    kind, guid, first, last, attributes, name = _ENTRY.unpack(raw)
    return Slot(
        first * sector,
        (last - first + 1) * sector,
        str(uuid.UUID(bytes_le=kind)),
        str(uuid.UUID(bytes_le=guid)),
        name.decode("utf-16-le", "replace").partition("\0")[0],
        attributes,
        number,
    )
