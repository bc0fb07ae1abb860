"""How large and how old the store may get: what BOOTSMITH_CACHE_SIZE and BOOTSMITH_CACHE_AGE say."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from bootsmith.cache.errors import UsageError
from bootsmith.cache.store.location import AGE, SIZE

DEFAULT_SIZE = 20 << 30
NONE = "none"
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SPANS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class Limits(NamedTuple):
    """`size` in bytes on disk, `age` in seconds since the last use; None is no limit."""

    size: int | None = DEFAULT_SIZE
    age: float | None = None


def from_environment(environ: Mapping[str, str] = os.environ) -> Limits:
    """Return the limits that apply unless somebody says otherwise. Raises UsageError."""
    size, age = environ.get(SIZE), environ.get(AGE)
    return Limits(parse_size(size, SIZE) if size else DEFAULT_SIZE, parse_age(age, AGE) if age else None)


def parse_size(text: str, where: str) -> int | None:
    """Return the bytes in "20G", "1.5T", "500M", "0"; None for "none". Raises UsageError naming `where`."""
    return None if text == NONE else round(_parse(text, where, UNITS, "a size, such as 20G or 500M; none: no limit"))


def parse_age(text: str, where: str) -> float | None:
    """Return the seconds in "90d", "12h", "8w", "0"; None for "none". Raises UsageError naming `where`."""
    return None if text == NONE else _parse(text, where, SPANS, "an age, such as 90d or 12h; none: no limit")


def _parse(text: str, where: str, units: Mapping[str, int], wanted: str) -> float:
    if text == "0":  # of any unit
        return 0
    found = re.fullmatch(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)([{''.join(units)}])", text, re.ASCII)
    if not found:
        raise UsageError(f"{where}: {text!r} is no limit", f"Give {wanted}.")
    return float(found[1]) * units[found[2]]
