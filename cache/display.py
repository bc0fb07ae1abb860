"""What people read of paths, of words that are not ours, and of amounts: one line, whatever it is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

LIMIT = 400  # characters of one name: longer than paths that people use, shorter than a screen
SPANS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))


def shown(what: str | bytes | os.PathLike[str], limit: int = LIMIT) -> str:
    r"""Return a path or foreign words as one line that moves no cursor, and from which the bytes can be told.

    What cannot be printed is escaped as Python does, `\n`, `\x1b`, `\u202e`, bytes that are no UTF-8 as `\xff`. Text
    longer than `limit` lacks its middle. A path object is told from the current folder where it lies below that; text
    and bytes, which may be paths elsewhere, are told as they are.
    """
    text = os.fsdecode(what)
    if not isinstance(what, (str, bytes)):
        text = _below(text, str(Path.cwd()))
    if len(text) > limit:
        text = f"{text[: limit - limit // 3 - 1]}…{text[-(limit // 3) :]}"
    return text if text.isprintable() else "".join(map(_escape, text.replace("\\", "\\\\")))


def escaped(message: str) -> str:
    """Return a message with what slipped into it escaped that would steer a terminal: all but line ends and tabs."""
    if message.isprintable():
        return message
    return "".join(each if each in "\n\t" else _escape(each) for each in message)


def without_passwords(text: str) -> str:
    """Return a text without the passwords in its URLs: what is told ends in logs that others read."""
    if "://" not in text:
        return text
    import re

    return re.sub(r"(://[^/\s:@]*:)[^/\s@]+@", r"\1…@", text)


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


def alike(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known words that `word` was probably meant to be, the likeliest first; case is no difference."""
    import difflib  # only mistakes pay for it

    lowered = {each.lower(): each for each in reversed([*known])}
    return [lowered[each] for each in difflib.get_close_matches(word[:LIMIT].lower(), [*lowered], n=most, cutoff=0.6)]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be."""
    return next(iter(alike(word, known, most=1)), None)


def _below(path: str, folder: str) -> str:
    """Return a path from a folder where it lies in it."""
    return "." if path == folder else path.removeprefix(folder.rstrip("/") + "/")


def _escape(letter: str) -> str:
    if letter.isprintable():
        return letter
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:  # how os.fsdecode holds a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\u{number:04x}" if 0x80 <= number <= 0xFF else letter.encode("unicode_escape").decode()
