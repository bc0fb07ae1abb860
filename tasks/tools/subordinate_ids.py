"""Subordinate ids: the ranges that /etc/subuid and /etc/subgid grant, as in subuid(5)."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TypeAlias

Range: TypeAlias = "tuple[int, int]"
"""First id and how many."""

FIRST = 100_000
COUNT = 65_536


def granted(text: str, user: str, uid: int) -> list[Range]:
    """Return the ranges that /etc/subuid (or subgid) grants to a user, by name or by number."""
    return [(first, count) for owner, first, count in _lines(text) if owner in (user, str(uid)) and count]


def mine(kind: str) -> list[Range]:
    """Return the ranges that /etc/`kind` (subuid or subgid) grants to the caller; none to who has no account."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return []
    return granted(read(Path("/etc", kind)), user, os.geteuid())


def free(text: str) -> int:
    """Return the first id that is free behind all ranges of /etc/subuid (or subgid)."""
    return max([FIRST, *(first + count for _, first, count in _lines(text))])


def _lines(text: str) -> list[tuple[str, int, int]]:
    fields = [line.strip().split(":") for line in text.splitlines()]
    return [
        (owner, int(first), int(count))
        for owner, first, count in (each for each in fields if len(each) == 3)
        if first.isdigit() and count.isdigit()
    ]


def read(path: Path) -> str:
    """Return what a file of the host says; nothing where it is missing."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
