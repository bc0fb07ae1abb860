"""What builds have finished, read as bootsmith itself reads it: records in a build directory, results in the store."""

from __future__ import annotations

from pathlib import Path

from bootsmith.cache.store import record as records
from bootsmith.cache.store.record import Record
from bootsmith.cache.store.store import Store


def recorded(build: Path) -> dict[str, str]:
    """Return the keys of the stages that have a record below `build`, by stage."""
    return {record.stage: record.key for record in _records(build)}


def seconds(build: Path) -> float:
    """Return what all stages recorded below `build` took together, when they were last built."""
    return sum(record.seconds for record in _records(build))


def _records(build: Path) -> list[Record]:
    found = map(records.read, (build / ".bootsmith/records").glob("[!.]*.json"))
    return [record for record in found if record]


def stored(cache: Path) -> set[str]:
    """Return the keys whose results can be restored; of stages that are made again there is the result alone."""
    store = Store(cache)
    results = {path.name: store.result(path.name) for path in cache.glob("results*/??/[!.]*")}
    return {key for key, made in results.items() if made and all(store.has(each["hash"]) for each in made.values())}
