"""A file as a filesystem in an image has it, whichever kind of filesystem that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

WINDOW: Final = 1 << 20
"""Bytes of a file that are looked at together."""


class Extent(NamedTuple):
    """A stretch of a file's blocks: its first one in the file, its first one on the disk, how many."""

    logical: int
    physical: int
    length: int


@dataclass(frozen=True, slots=True)
class Node:
    """A file of any kind, as `tar.Entry` names them; names of one inode are one Node. Times in nanoseconds."""

    inode: int
    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    extents: tuple[Extent, ...] = ()


class Reader(Protocol):
    """What reads the files of one filesystem."""

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Return bytes of a file; fewer at its end, and zeros where it has a hole."""
        ...

    def windows(self, node: Node) -> set[int]:
        """Return the numbers of a file's windows that are not holes as a whole."""
        ...


def same(one: tuple[Reader, Node], other: tuple[Reader, Node]) -> bool:
    """Tell whether two files hold the same bytes."""
    (here, mine), (there, theirs) = one, other
    if mine.size != theirs.size:
        return False
    return all(
        here.read(mine, number * WINDOW, WINDOW) == there.read(theirs, number * WINDOW, WINDOW)
        for number in sorted(here.windows(mine) | there.windows(theirs))
    )
