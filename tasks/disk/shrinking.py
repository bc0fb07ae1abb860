"""An image's table as a smaller disk has it: the last partition cut off where the disk will end, a GPT's backup there.

Pure: what is to be written where, and which partition is to become smaller. Its filesystem is for others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bootsmith.tasks.disk import gpt, growing, mbr
from bootsmith.tasks.disk.patch import Patch
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.errors import StageError

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """A partition that becomes smaller: its number, 0 for a disk without a table; start, old and new size in bytes."""

    number: int
    start: int
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What a table becomes; `cut` is None where no partition reaches beyond the new end, `tail` what a table needs."""

    patches: tuple[Patch, ...]
    cut: Cut | None
    tail: int = 0


def fit(read: Callable[[int, int], bytes], size: int, disk: int) -> Shrunk:
    """Return what changes of an image of `size` bytes on a disk of so many, which are fewer. Raises StageError."""
    table = gpt.decode(read, size)
    if table is not None:
        _check(table.problems)
        if disk % table.sector:
            what = f"{disk} bytes are no whole number of its sectors, of {table.sector}"
            raise StageError(what, "Take a size in whole MiB.")
        tail = (gpt.first_usable(table.sector) - 1) * table.sector
        ends = {index: (slot.start, slot.start + slot.size) for index, slot in enumerate(table.slots)}
        index, end = _last(ends, (disk - tail) // table.sector * table.sector, tail)
        slots = list(table.slots)
        cut = None
        if index is not None:
            slot = slots[index]
            cut = Cut(slot.number, slot.start, slot.size, end - slot.start)
            slots[index] = replace(slot, size=cut.new)
        start, backup = growing.moved(read, disk, table, slots)
        return Shrunk((Patch(0, start), Patch(disk - len(backup), backup)), cut, tail)
    slots_of = mbr.decode(read(0, mbr.SECTOR), size)
    if slots_of is None or not slots_of.slots:
        return Shrunk((), Cut(0, 0, size, disk))
    _check(slots_of.problems)
    number, end = _last({n: (slot.start, slot.start + slot.size) for n, slot in slots_of.slots.items()}, disk, 0)
    if number is None:
        return Shrunk((), None)
    primary = slots_of.slots[number]
    cut = Cut(number, primary.start, primary.size, end - primary.start)
    return Shrunk((Patch(0, growing.entry_resized(read(0, mbr.SECTOR), number, cut.new)),), cut)


def _check(problems: tuple[str, ...]) -> None:
    if problems:
        raise StageError(f"its table is not one to change: {problems[0]}", "Mend it first; `inspect` tells all of it.")


def _last(ends: dict[int, tuple[int, int]], usable: int, tail: int) -> tuple[int | None, int]:
    """Return the partition that reaches beyond what is usable, and where it is to end. Raises StageError."""
    beyond = [key for key, (_, end) in ends.items() if end > usable]
    if not beyond:
        return None, usable
    last = max(ends, key=lambda key: ends[key][0])
    others = max((end for key, (_, end) in ends.items() if key != last), default=0)
    end = usable // _MIB * _MIB
    least = max(others, ends[last][0] + _MIB)
    if beyond != [last] or end < least:
        raise StageError(
            "only the last partition can become smaller, and those before it need more",
            f"Take {human(-(-(least + tail) // _MIB) * _MIB)} or more.",
        )
    return last, end
