"""Bytes and seconds as people write them."""

from __future__ import annotations

SPANS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))


def human(size: int) -> str:
    """Return a size in bytes: 1.2 GiB."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def ago(seconds: float) -> str:
    """Return how long ago something was: 3 days ago."""
    for name, span in SPANS:
        if seconds >= span:
            return f"{count(int(seconds // span), name)} ago"
    return "just now"


def count(number: int, noun: str) -> str:
    """Return so many of something that forms its plural with an s: 1 chunk, 1,200 chunks."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
