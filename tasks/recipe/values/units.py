"""Numbers as recipes write them: SIZE, TIME, MODE, BOOL, INT and DATE, each read from its text and written again."""

from __future__ import annotations

import re

from bootsmith.tasks.recipe.text.problems import Wrong

SECTOR = 512
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_BELOW = {"K": ("s", 2), "M": ("K", 1024), "G": ("M", 1024), "T": ("G", 1024)}
_GIGABYTES, _MEGABYTES = 256, 1 << 16  # up to so many a number alone is probably meant in these
_SECONDS = {"s": 1, "m": 60, "h": 3600}

SIZE = r"\d{1,15}(?:[KMGT](?:iB)?|s)"
TIME = r"\d{1,9}[smh]"
MODE = "(?:0o)?[0-7]{1,5}"
DATE = r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}Z)?"


def read_size(text: str) -> int:
    """Return a SIZE in bytes. Raises Wrong."""
    if re.fullmatch(SIZE, text, re.ASCII):
        number, unit = text.removesuffix("iB")[:-1], text.removesuffix("iB")[-1]
        return int(number) * (SECTOR if unit == "s" else UNITS[unit])
    meant = re.fullmatch(r"(\d{1,15})(?:\.(\d{1,9}))?\s*([kmgt]?)(?:i?b?)", text, re.ASCII | re.IGNORECASE)
    if not meant:
        raise Wrong(f"{text!r} is not a size", "write it like 512M, 2G or 2048s (sectors)")
    number, fraction, unit = meant[1], meant[2], meant[3].upper()
    if fraction:
        smaller, factor = _BELOW[unit or "G"]
        number, unit = str(round(float(f"{number}.{fraction}") * factor)), smaller
        why = "is not a whole number"
    else:
        why = "is not a unit of 1024, written K, M, G or T" if unit else "has no unit"
        unit = unit or ("G" if int(number) <= _GIGABYTES else "M" if int(number) <= _MEGABYTES else "")
    guess = f"did you mean {number}{unit}?" if unit and int(number) else "write it like 512M, 2G or 2048s (sectors)"
    raise Wrong(f"{text} {why}", guess)


def show_size(size: int) -> str:
    """Return a number of bytes, whole sectors of them, as the shortest SIZE that says it exactly."""
    for unit in reversed(UNITS):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return f"{size // SECTOR}s"


def read_time(text: str) -> int:
    """Return a TIME in seconds. Raises Wrong."""
    if re.fullmatch(TIME, text, re.ASCII):
        return int(text[:-1]) * _SECONDS[text[-1]]
    if re.fullmatch(r"\d+", text, re.ASCII):
        raise Wrong(f"{text} has no unit", f"did you mean {text}s?")
    raise Wrong(f"{text!r} is not a time", "write it like 90s or 5m")


def show_time(seconds: int) -> str:
    """Return seconds as a TIME."""
    return f"{seconds}s"


def read_mode(text: str) -> int:
    """Return a MODE, octal as written. Raises Wrong."""
    if not re.fullmatch(MODE, text, re.ASCII) or int(text, 8) > 0o7777:
        raise Wrong(f"{text!r} is not a mode", "write octal digits like 0755")
    return int(text, 8)


def show_mode(bits: int) -> str:
    """Return permissions as a MODE."""
    return f"{bits:04o}"


def read_bool(text: str) -> bool:
    """Return a BOOL: only `true` and `false`. Raises Wrong."""
    if text in ("true", "false"):
        return text == "true"
    word = text.lower()
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(word, word)
    known = meant in ("true", "false")
    raise Wrong(f"{text!r} is text, not true or false", f"did you mean {meant}?" if known else "write one of them")


def read_int(text: str) -> int:
    """Return a whole number, decimal. Raises Wrong."""
    if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
        raise Wrong(f"{text!r} is not a whole number", "write decimal digits")
    return int(text)


def read_date(text: str) -> int:
    """Return a DATE (UTC) in seconds since 1970. Raises Wrong."""
    from datetime import UTC, datetime  # rare, and slow to import

    mistake = Wrong(f"{text!r} is not a date", "write it like 2025-01-31 or 2025-01-31T12:00:00Z")
    if not re.fullmatch(DATE, text, re.ASCII):
        raise mistake
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise mistake from None
    if not 1980 <= moment.year <= 2037:
        raise Wrong(f"{text} cannot be a file's time on every filesystem", "write a date from 1980 to 2037")
    return int(moment.timestamp())


def show_date(seconds: int) -> str:
    """Return seconds since 1970 as a DATE."""
    from datetime import UTC, datetime  # rare, and slow to import

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
