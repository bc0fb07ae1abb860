"""Where every partition stands, and how large it is. Pure; all numbers are bytes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bootsmith.tasks.disk import gpt
from bootsmith.tasks.disk.sizing import MIB, human, round_up
from bootsmith.tasks.errors import StageError

Size = int | Literal["auto", "remaining"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A partition to be placed: `automatic` is the size its content would like, `fits` whether a size holds it."""

    name: str
    size: Size
    automatic: int
    fits: Callable[[int], bool]
    minimum: int
    """The least size known to hold the content; what a refusal names."""
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition stands."""

    name: str
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """A disk's size and its partitions in table order."""

    size: int
    places: tuple[Place, ...]


def plan(disk: int | Literal["auto"], wanted: Sequence[Wanted]) -> Layout:
    """Return the layout of a disk. Raises StageError where it cannot be, naming the key and the size needed."""
    if disk == "auto":
        places = _place([_sized(each, each.automatic) for each in wanted])
        size = _disk_for(places)
    else:
        size = disk
        if size % gpt.SECTOR:
            raise StageError(f"disk.size: {size} bytes are not a whole number of {gpt.SECTOR}-byte sectors")
        elastic = next((each.name for each in wanted if each.size == "remaining"), None)
        least = [_sized(each, each.minimum if each.size == "remaining" else each.automatic) for each in wanted]
        needed = _disk_for(_place(least))
        if needed > size:
            raise StageError(
                f"disk.size: {human(size)} is too small: the partitions need {human(needed)}",
                f"Raise it to at least {human(needed)}, or leave it out to have it chosen.",
            )
        if elastic is not None:
            least = [replace(each, size=_rest(least, each, size)) if each.name == elastic else each for each in least]
        places = _place(least)
    _check_overlap(places)
    for each, place in zip(wanted, places, strict=True):
        if not each.fits(place.size):
            raise StageError(
                f"disk.partitions.{each.name}.size: {human(place.size)} is too small: "
                f"its content needs {human(each.minimum)}",
                f"Raise it to at least {human(each.minimum)}, or make it auto.",
            )
    return Layout(size, tuple(places))


def _sized(wanted: Wanted, size: int) -> Wanted:
    """Fix the size of a partition that leaves it open."""
    return wanted if isinstance(wanted.size, int) else replace(wanted, size=size)


def _place(wanted: Sequence[Wanted]) -> list[Place]:
    places: list[Place] = []
    cursor = MIB
    for each in wanted:
        start = each.start if each.start is not None else round_up(cursor, MIB)
        assert isinstance(each.size, int), "every size is fixed by now"
        if start < gpt.FIRST_USABLE * gpt.SECTOR or start % gpt.SECTOR or each.size % gpt.SECTOR or each.size <= 0:
            raise StageError(
                f"disk.partitions.{each.name}: a partition starts at a whole sector of {gpt.SECTOR} bytes from sector "
                f"{gpt.FIRST_USABLE} on and is at least one long; this one has {each.size} bytes from byte {start} on"
            )
        places.append(Place(each.name, start, each.size))
        cursor = start + each.size
    return places


def _disk_for(places: Sequence[Place]) -> int:
    """Return the least disk, in MiB, that holds the partitions and the backup table."""
    end = max((place.end for place in places), default=MIB)
    return round_up(end + gpt.FIRST_USABLE * gpt.SECTOR, MIB)


def _rest(wanted: Sequence[Wanted], elastic: Wanted, disk: int) -> int:
    """Return the size `elastic` can take: up to the next fixed start or the table at the end, less what comes after."""
    places = _place(wanted)
    at = next(index for index, each in enumerate(wanted) if each.name == elastic.name)
    limit = (gpt.last_usable(disk) + 1) * gpt.SECTOR
    following = 0
    for each in wanted[at + 1 :]:
        if each.start is not None:
            limit = min(limit, each.start)
            break
        assert isinstance(each.size, int), "every size is fixed by now"
        following += round_up(each.size, MIB)
    return (limit - places[at].start - following) // MIB * MIB


def _check_overlap(places: Sequence[Place]) -> None:
    ordered = sorted(places, key=lambda place: place.start)
    for first, second in itertools.pairwise(ordered):
        if first.end > second.start:
            raise StageError(
                f"disk.partitions.{second.name}.start: byte {second.start} lies inside {first.name}, "
                f"which ends at {first.end}",
                "Move its start, or make the other smaller.",
            )
