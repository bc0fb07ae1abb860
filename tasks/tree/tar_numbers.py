"""Numbers as tars write them, none believed that no filesystem could hold. Every function raises ValueError."""

from __future__ import annotations


def field(raw: bytes) -> int:
    """Return a header's number: octal digits, or GNU's base 256, which alone may be negative."""
    if raw[0] & 0x80:
        return int.from_bytes(bytes([raw[0] << 1 & 0x80 | raw[0] & 0x7F]) + raw[1:], "big", signed=True)
    digits = raw.partition(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):  # int() takes signs and underscores too
        raise ValueError(f"{digits!r} is no octal number")
    return int(digits or b"0", 8)


def decimal(digits: bytes) -> int:
    """Return an extended header's number."""
    if len(digits) > 40 or not digits.removeprefix(b"-").isdigit():
        raise ValueError(f"{digits[:40]!r} is no number")
    return int(digits)


def size(number: int) -> int:
    """Return a size."""
    return within(number, 0, 1 << 63, "size")


def owner(number: int) -> int:
    """Return a user or group."""
    return within(number, 0, 0xFFFFFFFF, "owner")  # the last one means "none" to chown(2)


def time(number: int) -> int:
    """Return a time in seconds."""
    return within(number, -(1 << 31), (1 << 34) - (1 << 31), "time that a filesystem can hold")  # ext4's range


def within(number: int, least: int, limit: int, what: str) -> int:
    """Return a number that is at least `least` and below `limit`."""
    if not least <= number < limit:
        raise ValueError(f"{number} is no {what}")
    return number
