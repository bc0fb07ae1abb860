"""A kernel's command line as words: blanks divide them, but not within double quotes, as Linux reads it."""

from __future__ import annotations

import re

_WORD = re.compile(r'\s*(?:([^\s"]*=)?"([^"]*)"(?=\s|$)|([^\s"]+)(?=\s|$))')


def words(cmdline: str) -> list[str]:
    """Return the words, without the quotes around a word or a value. Raises ValueError where quotes stand elsewhere."""
    found = []
    at, end = 0, len(cmdline.rstrip())
    while at < end:
        match = _WORD.match(cmdline, at, end)
        if match is None:
            raise ValueError(cmdline)
        key, quoted, plain = match.groups()
        found.append(plain if plain is not None else (key or "") + quoted)
        at = match.end()
    return found
