"""Where every partition stands, and how large it is. Pure; all numbers are bytes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from bootsmith.tasks.disk import gpt, mbr
from bootsmith.tasks.disk.sizing import MIB, human, round_up
from bootsmith.tasks.errors import StageError

SECTOR = 512


class Bounds(NamedTuple):
    """What a partition table leaves to partitions: sectors it takes at a disk's start and end, and sectors in all.

    They are of `sector` bytes.
    """

    start: int
    end: int
    limit: int
    first: int = MIB
    """Bytes before the first partition, where nobody says."""
    sector: int = SECTOR


BOUNDS: Mapping[str, Bounds] = {
    "gpt": Bounds(gpt.first_usable(), gpt.first_usable() - 1, 1 << 64),
    "mbr": Bounds(1, 0, mbr.LIMIT // SECTOR),
    "none": Bounds(0, 0, 1 << 64, first=0),
}


def bounds(table: str, sector: int) -> Bounds:
    """Return what a table leaves on a disk of such sectors."""
    if table == "gpt":
        return Bounds(gpt.first_usable(sector), gpt.first_usable(sector) - 1, 1 << 64, sector=sector)
    return BOUNDS[table]._replace(sector=sector)


Size = int | Literal["auto", "remaining"]


class Wanted(NamedTuple):
    """A partition to be placed: `automatic` is the size its content would like.

    `fits` tells whether a size holds the content and what is promised to be free: `extra` bytes.
    """

    name: str
    size: Size
    automatic: int
    fits: Callable[[int], bool]
    minimum: int
    """The least size known to hold both; what a refusal names."""
    start: int | None = None
    extra: int = 0


class Place(NamedTuple):
    """Where a partition stands."""

    name: str
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


class Layout(NamedTuple):
    """A disk's size and its partitions in table order."""

    size: int
    places: tuple[Place, ...]


def plan(disk: int | Literal["auto"], wanted: Sequence[Wanted], bounds: Bounds = BOUNDS["gpt"]) -> Layout:
    """Return the layout of a disk. Raises StageError where it cannot be, naming the key and the size needed."""
    if disk == "auto":
        places = _place([_sized(each, each.automatic) for each in wanted], bounds)
        size = _disk_for(places, bounds)
    else:
        size = disk
        if size % bounds.sector:
            raise StageError(f"disk.size: {size} bytes are not a whole number of {bounds.sector}-byte sectors")
        elastic = next((each.name for each in wanted if each.size == "remaining"), None)
        least = [_sized(each, each.minimum if each.size == "remaining" else each.automatic) for each in wanted]
        needed = _disk_for(_place(least, bounds), bounds)
        if needed > size:
            raise StageError(
                f"disk.size: {human(size)} is too small: the partitions need {human(needed)}{_promises(wanted)}",
                f"Raise it to at least {human(needed)}, or leave it out to have it chosen.",
            )
        if elastic is not None:
            least = [
                each._replace(size=_rest(least, each, size, bounds)) if each.name == elastic else each for each in least
            ]
        places = _place(least, bounds)
    if size > bounds.limit * bounds.sector:
        raise StageError(
            f"disk.size: the partitions need {human(size)}, and this table reaches no further than "
            f"{human(bounds.limit * bounds.sector)}",
            "Make them smaller, or write disk.table: gpt.",
        )
    _check_overlap(places)
    for each, place in zip(wanted, places, strict=True):
        if not each.fits(place.size):
            raise StageError(
                f"disk.partitions.{each.name}.size: {human(place.size)} is too small: "
                f"its content needs {human(each.minimum)}{_promises([each])}",
                f"Raise it to at least {human(each.minimum)}, or make it auto.",
            )
    return Layout(size, tuple(places))


def _promises(wanted: Sequence[Wanted]) -> str:
    """Return what of a need is not content, for a refusal; nothing where all of it is."""
    found = [f"{human(each.extra)} to stay free on {each.name} (extra)" for each in wanted if each.extra]
    return f", with {' and '.join(found)}" if found else ""


def _sized(wanted: Wanted, size: int) -> Wanted:
    """Fix the size of a partition that leaves it open."""
    return wanted if isinstance(wanted.size, int) else wanted._replace(size=size)


def _place(wanted: Sequence[Wanted], bounds: Bounds) -> list[Place]:
    places: list[Place] = []
    cursor = bounds.first
    for each in wanted:
        start = each.start if each.start is not None else round_up(cursor, MIB)
        assert isinstance(each.size, int), "every size is fixed by now"
        sector = bounds.sector
        if start < bounds.start * sector or start % sector or each.size % sector or each.size <= 0:
            raise StageError(
                f"disk.partitions.{each.name}: a partition starts at a whole sector of {sector} bytes from sector "
                f"{bounds.start} on and is at least one long; this one has {each.size} bytes from byte {start} on"
            )
        places.append(Place(each.name, start, each.size))
        cursor = start + each.size
    return places


def _disk_for(places: Sequence[Place], bounds: Bounds) -> int:
    """Return the least disk, in MiB, that holds the partitions and what the table keeps at the end."""
    end = max((place.end for place in places), default=MIB)
    return round_up(end + bounds.end * bounds.sector, MIB)


def _rest(wanted: Sequence[Wanted], elastic: Wanted, disk: int, bounds: Bounds) -> int:
    """Return the size `elastic` can take: up to the next fixed start or the table at the end, less what comes after.

    It is whole MiB, where that is enough.
    """
    places = _place(wanted, bounds)
    at = next(index for index, each in enumerate(wanted) if each.name == elastic.name)
    fixed = next((index for index in range(at + 1, len(wanted)) if wanted[index].start is not None), len(wanted))
    end = disk - bounds.end * bounds.sector
    if fixed < len(wanted):
        end = min(end, places[fixed].start)
    for place in reversed(places[at + 1 : fixed]):
        end = (end - place.size) // MIB * MIB
    room = end - places[at].start
    whole = room // MIB * MIB
    return whole if whole >= elastic.minimum else room // bounds.sector * bounds.sector


def _check_overlap(places: Sequence[Place]) -> None:
    ordered = sorted(places, key=lambda place: place.start)
    for first, second in itertools.pairwise(ordered):
        if first.end > second.start:
            raise StageError(
                f"disk.partitions.{second.name}.start: byte {second.start} lies inside {first.name}, "
                f"which ends at {first.end}",
                "Move its start, or make the other smaller.",
            )
