"""The MBR partition table, as bytes: written and read. Four primary partitions; sectors in 32 bits.

Nobody has standardised it. Cylinders, heads and sectors are for machines that are gone: they are those of a disk with
255 heads and 63 sectors as far as that reaches, as every tool writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

SECTOR = 512
LIMIT = SECTOR << 32
"""The first byte no partition reaches: 2 TiB."""
SLOTS = 4
SIGNATURE_AT = 440
TABLE_AT = 446
_HEADS, _SECTORS, _CYLINDERS = 255, 63, 1024
_ENTRY = struct.Struct("<B3sB3sII")
_ACTIVE = 0x80
PROTECTIVE = 0xEE
_EXTENDED = (0x05, 0x0F, 0x85)


@dataclass(frozen=True, slots=True)
class Slot:
    """A primary partition; `start` and `size` in bytes, `type` its one-byte code."""

    start: int
    size: int
    type: int
    active: bool = False


class Table(NamedTuple):
    """A table read back: its signature, and each partition by its number."""

    signature: str
    slots: dict[int, Slot]
    problems: tuple[str, ...] = ()


def encode(disk: int, signature: str, slots: Sequence[Slot]) -> bytes:
    """Return the first sector of a disk of so many bytes, without boot code."""
    if len(slots) > SLOTS:
        raise ValueError(f"more than {SLOTS} partitions")
    entries = b"".join(map(_encode_slot, slots)).ljust(SLOTS * _ENTRY.size, b"\0")
    if any(slot.start + slot.size > min(disk, LIMIT) for slot in slots):
        raise ValueError("a partition reaches beyond the disk, or 2 TiB")
    return bytes(SIGNATURE_AT) + int(signature, 16).to_bytes(4, "little") + bytes(2) + entries + b"\x55\xaa"


def _encode_slot(slot: Slot) -> bytes:
    first, count = slot.start // SECTOR, slot.size // SECTOR
    return _ENTRY.pack(
        _ACTIVE if slot.active else 0, _geometry(first), slot.type, _geometry(first + count - 1), first, count
    )


def _geometry(sector: int) -> bytes:
    """Return a sector as head, sector and cylinder; what lies too far is the last of all, by convention."""
    cylinder, rest = divmod(sector, _HEADS * _SECTORS)
    if cylinder >= _CYLINDERS:
        return b"\xfe\xff\xff"
    head, below = divmod(rest, _SECTORS)
    return bytes((head, (below + 1) | (cylinder >> 8 << 6), cylinder & 0xFF))


def decode(sector: bytes, disk: int) -> Table | None:
    """Return the table in the first sector of a disk of so many bytes, None where there is none."""
    if len(sector) < SECTOR or sector[510:512] != b"\x55\xaa":
        return None
    slots: dict[int, Slot] = {}
    problems = []
    for number in range(1, SLOTS + 1):
        flag, _, kind, _, first, count = _ENTRY.unpack_from(sector, TABLE_AT + _ENTRY.size * (number - 1))
        if flag not in (0, _ACTIVE):
            return None  # code or text, as in a filesystem's own first sector
        if not kind or not count:
            continue
        slots[number] = Slot(first * SECTOR, count * SECTOR, kind, flag == _ACTIVE)
        if kind in _EXTENDED:
            problems.append(f"partition {number} is extended: what it holds is not read")
        elif (first + count) * SECTOR > disk:
            problems.append(f"partition {number} reaches beyond the disk")
    if sum(slot.active for slot in slots.values()) > 1:
        problems.append("several partitions are active")
    signature = int.from_bytes(sector[SIGNATURE_AT : SIGNATURE_AT + 4], "little")
    return Table(f"{signature:08x}", slots, tuple(problems))
