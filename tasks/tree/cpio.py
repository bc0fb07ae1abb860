"""The newc form of cpio, in which Linux takes an initramfs, written from a tree's layers.

Linux, Documentation/driver-api/early-userspace/buffer-format.rst. It has no place for extended attributes. Of a file
with several names the data stands with the last, where Linux's own tools put it.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree
    from bootsmith.tasks.tree.tar import Entry

_TYPES: Final = {"f": 0o100000, "d": 0o040000, "l": 0o120000, "c": 0o020000, "b": 0o060000, "p": 0o010000}
_LARGEST: Final = (1 << 32) - 1
_BLOCK: Final = 512
_LONGEST: Final = 4095
"""Bytes of a name, or of a symlink's target, that Linux reads (PATH_MAX, with the NUL behind it)."""


def write(target: BinaryIO, tree: Tree) -> None:
    """Write a tree in the order of its paths' parts, so that every folder comes before what is in it."""
    names = sorted((path for path in tree.entries if path), key=lambda path: path.split("/"))
    homes = {path: _home(tree, path) for path in names}
    links = Counter(homes.values())
    left = Counter(links)
    inodes: dict[str, int] = {}
    for path in names:
        home = homes[path]
        left[home] -= 1
        entry = tree.entries[home][1]
        size = entry.size if entry.type == "f" and not left[home] else 0
        if size > _LARGEST:
            raise StageError(
                f"/{shown(path)} is larger than 4 GiB, which no initramfs can hold", "Leave it out of the tree."
            )
        inode = inodes.setdefault(home, len(inodes) + 1)
        held = os.fsencode(entry.link) if entry.type == "l" else b""
        if max(len(os.fsencode(path)), len(held)) > _LONGEST:
            raise StageError(
                f"/{shown(path[:40])}: its name or target is longer than {_LONGEST} bytes, which Linux would pass over",
                "Leave it out of the tree.",
            )
        target.write(_header(os.fsencode(path), entry, inode, links[home], size or len(held)))
        if size:
            with tree.open(home) as data:
                shutil.copyfileobj(data, target, 1 << 20)
        target.write(held + b"\0" * (-(size or len(held)) % 4))
    target.write(_fields(b"TRAILER!!!", [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    target.write(b"\0" * (-target.tell() % _BLOCK))


def _home(tree: Tree, path: str) -> str:
    """Return the name whose entry holds the data of a path."""
    entry = tree.entries[path][1]
    return entry.link if entry.type == "h" else path


def _header(name: bytes, entry: Entry, inode: int, links: int, size: int) -> bytes:
    for value, what in ((entry.uid, "user"), (entry.gid, "group"), (entry.mtime, "time")):
        if not 0 <= value <= _LARGEST:
            raise StageError(f"/{shown(os.fsdecode(name))}: its {what} {value} does not fit into an initramfs")
    count = 2 if entry.type == "d" else links
    numbers = [entry.major, entry.minor] if entry.type in "cb" else [0, 0]
    mode = _TYPES[entry.type] | entry.mode
    return _fields(name, [inode, mode, entry.uid, entry.gid, count, entry.mtime, size, 0, 0, *numbers])


def _fields(name: bytes, fields: list[int]) -> bytes:
    """Return a member's header and name: inode, mode, owner, links, time, size, device and what device it is."""
    numbers = b"".join(b"%08X" % field for field in (*fields, len(name) + 1, 0))
    head = b"070701" + numbers + name + b"\0"
    return head + b"\0" * (-len(head) % 4)
