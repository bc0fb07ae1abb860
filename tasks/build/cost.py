"""What a stage took when it was last built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bootsmith.cache.store.record import Record

COSTS = ("seconds", "cpu", "peak", "space", "kept")
"""What a record tells of it, and the history keeps."""


class Cost(NamedTuple):
    """What a stage took, see `Record`, and what it gave: the fingerprints of its outputs."""

    seconds: float
    cpu: float
    peak: int
    space: int
    kept: int
    outputs: tuple[str, ...]


def of_record(record: Record) -> Cost:
    """Return the cost that a record tells of."""
    return of_stage({name: getattr(record, name) for name in (*COSTS, "outputs")})


def of_stage(stage: Mapping[str, Any]) -> Cost:
    """Return the cost of a stage as the history tells of it."""
    outputs = tuple(output["hash"] for output in stage["outputs"].values())
    return Cost(**{name: stage.get(name, 0) for name in COSTS}, outputs=outputs)
