"""A file as a filesystem in an image has it, whichever kind of filesystem that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
