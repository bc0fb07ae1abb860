"""Files of an image as lines: by name, or as `ls -l` has them, owners by the names that the image itself gives them."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator

from bootsmith.cache.display import shown
from bootsmith.tasks.inspection.system_tree import Place, SystemTree

KINDS = {
    "f": (stat.S_IFREG, "file"),
    "d": (stat.S_IFDIR, "directory"),
    "l": (stat.S_IFLNK, "symlink"),
    "c": (stat.S_IFCHR, "character device"),
    "b": (stat.S_IFBLK, "block device"),
    "p": (stat.S_IFIFO, "pipe"),
    "s": (stat.S_IFSOCK, "socket"),
}
"""The kinds of files: their bits in a mode, and what they are called."""


def lines(tree: SystemTree, place: Place, *, long: bool, recursive: bool) -> Iterator[str]:
    """Yield a line for each file in a directory, or of all below it; or the one for a file that is none."""
    if place.node.kind != "d":
        found = [(shown(place.path.rpartition(b"/")[2]), place)]
    elif recursive:
        found = [("/" + shown(each.path), each) for each in tree.walk(place)]
    else:
        found = [(shown(name), each) for name, each in tree.children(place)]
    if not long:
        yield from (name for name, _ in found)
        return
    users, groups = (_names(tree.text(path)) for path in (b"etc/passwd", b"etc/group"))
    rows = [_row(name, each, users, groups) for name, each in found]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for mode, owner, group, size, when, name in rows:
        yield f"{mode} {owner:<{widths[1]}} {group:<{widths[2]}} {size:>{widths[3]}} {when} {name}"


def _row(name: str, place: Place, users: dict[int, str], groups: dict[int, str]) -> tuple[str, ...]:
    node = place.node
    size = f"{node.device[0]}, {node.device[1]}" if node.kind in "cb" else str(node.size)
    target = f" -> {shown(node.target)}" if node.kind == "l" else ""
    owner, group = users.get(node.uid, str(node.uid)), groups.get(node.gid, str(node.gid))
    mode = stat.filemode(KINDS[node.kind][0] | node.mode)
    return mode, owner, group, size, when(node.mtime), name + target


def when(nanoseconds: int) -> str:
    """Return a time as a date and a clock, in UTC; as a number of seconds where no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(nanoseconds // 1_000_000_000))
    except (OverflowError, ValueError, OSError):
        return f"@{nanoseconds // 1_000_000_000}"


def _names(table: bytes) -> dict[int, str]:
    """Return what a passwd or group file calls each number: the first that does."""
    found: dict[int, str] = {}
    for line in table.splitlines():
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():
            found.setdefault(int(fields[2][:10]), shown(fields[0], 32))
    return found
