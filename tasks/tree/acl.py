"""POSIX access control lists: the text in which tars hold them (acl(5)), and the bytes that system calls take.

Linux, include/uapi/linux/posix_acl_xattr.h. What is no such list raises ValueError.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

ACCESS: Final = "system.posix_acl_access"
DEFAULT: Final = "system.posix_acl_default"
NAMES: Final = frozenset((ACCESS, DEFAULT))

Row: TypeAlias = tuple[int, int, int]
"""Whom it is about, by a tag and, where that names a user or group, a number; and what they may."""

OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_TAGS: Final = {b"user": OWNER, b"group": GROUP, b"mask": MASK, b"other": OTHER}
_NAMED: Final = {OWNER: USER, GROUP: NAMED_GROUP}
_KINDS: Final = {USER: "user", NAMED_GROUP: "group"}
_ALL: Final = (OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHER)
_NOBODY: Final = 0xFFFFFFFF
_VERSION: Final = struct.pack("<I", 2)
_ROW: Final = struct.Struct("<HHI")
_RIGHTS: Final = re.compile(rb"([r-])([w-])([x-])")


def parse(text: bytes, number: Callable[[str, bytes], int]) -> list[Row]:
    """Return what a list says in words; `number` tells that of a user or a group who is named and not numbered.

    A number behind the rights, which star and libarchive write, counts for more than the name.
    """
    rows = []
    for line in re.split(rb"[,\n]", text):
        words = line.partition(b"#")[0].strip().removeprefix(b"default:").split(b":")
        if words == [b""]:
            continue
        tag = next((tag for name, tag in _TAGS.items() if words[0] in (name, name[:1])), 0)
        rights = _RIGHTS.fullmatch(words[2] if len(words) > 2 else b"")
        if not tag or not rights:
            raise ValueError(f"{line[:80]!r} is no line of one")
        who = _NOBODY
        if words[1] or len(words) > 3:
            if tag not in _NAMED:
                raise ValueError(f"{line[:80]!r} is no line of one")
            tag = _NAMED[tag]
            told = words[3] if len(words) > 3 else words[1]
            who = int(told) if re.fullmatch(rb"[0-9]{1,10}", told) else number(_KINDS[tag], words[1])
        rows.append((tag, who, sum(bit for bit, each in zip((4, 2, 1), rights.groups(), strict=True) if each != b"-")))
    return _checked(rows)


def decode(value: bytes) -> list[Row]:
    """Return what a list says in the bytes that system calls take."""
    if value[:4] != _VERSION or (len(value) - 4) % _ROW.size:
        raise ValueError("its form is unknown")
    return _checked(
        (tag, who if tag in _KINDS else _NOBODY, rights) for tag, rights, who in _ROW.iter_unpack(value[4:])
    )


def encode(rows: Sequence[Row]) -> bytes:
    """Return the bytes that system calls take."""
    return _VERSION + b"".join(_ROW.pack(tag, rights, who) for tag, who, rights in rows)


def mode(rows: Sequence[Row]) -> int:
    """Return the permissions that a file with this list has: the group's are what the mask leaves to anybody named."""
    rights = {tag: right for tag, _, right in rows}
    return rights[OWNER] << 6 | rights.get(MASK, rights[GROUP]) << 3 | rights[OTHER]


def names(rows: Sequence[Row]) -> bool:
    """Tell whether a list names a user or group."""
    return any(tag in _KINDS for tag, _, _ in rows)


def mapped(
    rows: Sequence[Row], owner: Callable[[int, int], tuple[int, int] | tuple[int | None, int | None]]
) -> list[Row] | None:
    """Return a list with other numbers; `owner` tells those of a user and a group. None where somebody has none."""
    found = []
    for tag, who, rights in rows:
        new = who if tag not in _KINDS else owner(who, who)[tag == NAMED_GROUP]
        if new is None:
            return None
        found.append((tag, new, rights))
    return _checked(found)


def _checked(rows: Iterable[Row]) -> list[Row]:
    """Return the rows in Linux's order. Raises ValueError for a list that Linux would not take."""
    found = sorted(rows)
    tags = [tag for tag, _, _ in found]
    if (
        any(tags.count(tag) != 1 for tag in (OWNER, GROUP, OTHER))
        or tags.count(MASK) > 1
        or (names(found) and MASK not in tags)
        or any(one[:2] == other[:2] for one, other in pairwise(found))
        or any(tag not in _ALL or rights & ~7 for tag, _, rights in found)
        or any(who >= _NOBODY for tag, who, _ in found if tag in _KINDS)
    ):
        raise ValueError("it lacks a line, or has one too many")
    return found
