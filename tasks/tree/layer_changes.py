"""What a layer holds that an earlier one of the same members held otherwise: told by their indexes, line by line."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.layer import Entry

_STEP = 1 << 16


def between(old: bytes, new: Path) -> list[tuple[Entry, Entry]] | None:
    """Return the members, as they were and as they are, that two indexes tell otherwise; None where they cannot tell.

    Of the old one its content is given. They cannot tell where they do not list as many, or do not know by a digest
    what each file holds.
    """
    members, now = layer.read_index(new), new.read_bytes()
    if old.count(b"\n") != now.count(b"\n") or not all(
        each.digest for each in members if each.type == "f" and each.size
    ):
        return None
    start = _same_start(old, now)
    end = _same_end(old, now, min(len(old), len(now)) - start)
    number = now.count(b"\n", 0, start) - 1  # the first line opens the list
    before, after = (each[start : len(each) - end].split(b"\n") for each in (old, now))
    differ = [at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    earlier = layer.parse(b"[\n%b\n]\n" % b",\n".join(before[at].rstrip(b",") for at in differ))
    return list(zip(earlier, (members[number + at] for at in differ), strict=True))


def _same_start(one: bytes, other: bytes) -> int:
    """Return how long a beginning of whole lines two texts share, as far as steps tell."""
    at = 0
    while one[at : at + _STEP] == other[at : at + _STEP] and at < min(len(one), len(other)):
        at += _STEP
    return one.rfind(b"\n", 0, at) + 1


def _same_end(one: bytes, other: bytes, most: int) -> int:
    """Return how long an end of whole lines two texts share, the line break before it left out; `most` at most."""
    length = 0
    while (
        length + _STEP <= most
        and one[len(one) - length - _STEP : len(one) - length]
        == other[len(other) - length - _STEP : len(other) - length]
    ):
        length += _STEP
    found = one.find(b"\n", len(one) - length)
    return len(one) - found if length and found >= 0 else 0
