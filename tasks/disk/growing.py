"""An image's table as a larger disk has it: a GPT's backup at its end, and if asked the last partition up to there.

Pure: what is to be written where, and which partition grew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bootsmith.tasks.disk import gpt, mbr
from bootsmith.tasks.disk.patch import Patch

_MIB: Final = 1 << 20
_SECTOR: Final = 512
_LIMIT: Final = 1 << 32  # sectors that an MBR counts


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a table becomes, which counts sectors of `sector` bytes.

    `grown` is the last partition, by number, start, old and new size; None where none grew.
    """

    patches: tuple[Patch, ...]
    table: str
    grown: tuple[int, int, int, int] | None = None
    why_not: str = ""
    sector: int = _SECTOR


NO_TABLE: Final = Fitted((), "none")


def fit(read: Callable[[int, int], bytes], size: int, disk: int, *, grow: bool) -> Fitted:
    """Return what changes of an image of `size` bytes, `read(offset, length)` giving it, on a disk of so many."""
    table = gpt.decode(read, size)
    if table is not None:
        return replace(_gpt(table, read, size, disk, grow=grow), sector=table.sector)
    slots = mbr.decode(read(0, _SECTOR), size)
    if slots is None or not slots.slots:
        return Fitted((), "none", why_not="the image has no partitions")
    return _mbr(slots, read, disk, grow=grow)


def _gpt(table: gpt.Table, read: Callable[[int, int], bytes], size: int, disk: int, *, grow: bool) -> Fitted:
    if table.problems:
        return Fitted((), "gpt", why_not=f"its table is damaged: {table.problems[0]}")
    if disk % table.sector:
        return Fitted((), "gpt", why_not=f"{disk} bytes are no whole number of its sectors, of {table.sector}")
    if disk == size:
        return Fitted((), "gpt", why_not="there is no room behind the image")
    slots, grown, why = list(table.slots), None, ""
    if grow and not slots:
        why = "the table has no partitions"
    elif grow:
        last = max(range(len(slots)), key=lambda number: slots[number].start)
        end = (gpt.last_usable(disk, table.sector) + 1) * table.sector // _MIB * _MIB
        if end - slots[last].start > slots[last].size:
            grown = (slots[last].number, slots[last].start, slots[last].size, end - slots[last].start)
            slots[last] = replace(slots[last], size=grown[3])
        else:
            why = "there is no room behind its last partition"
    start, backup = moved(read, disk, table, slots)
    old = Patch(size - len(backup), bytes(len(backup)))  # or two backups would stand there
    patches = [Patch(0, start), Patch(disk - len(backup), backup)]
    if old.at + len(old.data) <= disk - len(backup):
        patches.append(old)
    return Fitted(tuple(patches), "gpt", grown, why)


def moved(read: Callable[[int, int], bytes], disk: int, table: gpt.Table, slots: list[gpt.Slot]) -> tuple[bytes, bytes]:
    """Return a table for another disk, with the boot code and the hybrid entries that the image has before its own."""
    start, backup = gpt.encode(disk, table.guid, slots, table.sector)
    sector = read(0, _SECTOR)
    protective = [at for at in range(446, 510, 16) if sector[at + 4] == 0xEE]
    if len(protective) == 1:
        at = protective[0]
        sector = sector[:at] + start[446:462][:1] + sector[at + 1 : at + 5] + start[446 + 5 : 462] + sector[at + 16 :]
    return sector + start[_SECTOR:], backup


def _mbr(table: mbr.Table, read: Callable[[int, int], bytes], disk: int, *, grow: bool) -> Fitted:
    if not grow:
        return Fitted((), "mbr")
    if table.problems:
        return Fitted((), "mbr", why_not=f"its table is not one to change: {table.problems[0]}")
    number = max(table.slots, key=lambda each: table.slots[each].start)
    slot = table.slots[number]
    end = min(disk // _MIB * _MIB, _LIMIT * _SECTOR)
    if end - slot.start <= slot.size:
        return Fitted((), "mbr", why_not="there is no room behind its last partition")
    size = end - slot.start
    patch = Patch(0, entry_resized(read(0, _SECTOR), number, size))
    return Fitted((patch,), "mbr", (number, slot.start, slot.size, size))


def entry_resized(first: bytes, number: int, size: int) -> bytes:
    """Return an MBR's sector with one partition of another size."""
    sector = bytearray(first)
    at = mbr.TABLE_AT + 16 * (number - 1)
    sector[at + 5 : at + 8] = b"\xfe\xff\xff"  # no cylinder, head and sector say where it ends
    sector[at + 12 : at + 16] = (size // _SECTOR).to_bytes(4, "little")
    return bytes(sector)
