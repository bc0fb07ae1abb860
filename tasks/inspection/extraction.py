"""Files of an image taken out into a directory of the host's: they become the caller's, and no name leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.system_tree import Place, SystemTree

_BLOCK = 4096
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def extract(tree: SystemTree, place: Place, target: Path) -> list[str]:
    """Write a file into the directory `target`, or all that lies in a directory; return what was left out, in words.

    It is made where it is missing; a name that is taken in it is refused, before anything is written. Modes and times
    are kept, owners are the caller's; set-user-id bits, device nodes and sockets are left out.
    """
    target.mkdir(parents=True, exist_ok=True)
    alone = place.node.kind != "d"
    names = {place.path.rpartition(b"/")[2]} if alone else {name for name, _ in tree.children(place)}
    taken = sorted(name for name in names if os.path.lexists(target / os.fsdecode(name)))
    if taken:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UsageError(f"{target} holds {shown(taken[0])}{more} already", "Name an empty or a new directory.")
    top = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _Extraction(tree, top).run(place)
    finally:
        os.close(top)


class _Extraction:
    def __init__(self, tree: SystemTree, top: int) -> None:
        self._tree = tree
        self._top = top
        self._links: dict[tuple[int, int], bytes] = {}
        self._left: list[str] = []

    def run(self, place: Place) -> list[str]:
        if place.node.kind != "d":
            name = place.path.rpartition(b"/")[2]
            self._write(place, self._top, name, name)
            return self._left
        prefix = len(place.path) + 1 if place.path else 0
        folders: list[tuple[bytes, Node]] = []
        for found in self._tree.walk(place):
            path = found.path[prefix:]
            above, _, last = path.rpartition(b"/")
            folder = _folder(self._top, above)
            try:
                if found.node.kind == "d":
                    os.mkdir(last, 0o700, dir_fd=folder)
                    folders.append((path, found.node))
                else:
                    self._write(found, folder, last, path)
            finally:
                os.close(folder)
        for path, node in reversed(folders):  # what is in them is written by now
            folder = _folder(self._top, path)
            try:
                os.fchmod(folder, node.mode & 0o1777)
                os.utime(folder, ns=(node.mtime, node.mtime))
            finally:
                os.close(folder)
        return self._left

    def _write(self, place: Place, folder: int, name: bytes, path: bytes) -> None:
        node = place.node
        identity = (id(place.files), node.inode)
        if node.kind == "l":
            os.symlink(node.target, name, dir_fd=folder)
            os.utime(name, ns=(node.mtime, node.mtime), dir_fd=folder, follow_symlinks=False)
        elif node.kind == "p":
            os.mkfifo(name, node.mode & 0o777, dir_fd=folder)
        elif node.kind != "f":
            self._left.append(f"/{shown(place.path)}: a {'socket' if node.kind == 's' else 'device node'}")
        elif identity in self._links and node.inode:
            first, _, last = self._links[identity].rpartition(b"/")
            above = _folder(self._top, first)
            try:
                os.link(last, name, src_dir_fd=above, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                os.close(above)
        else:
            self._links[identity] = path
            fd = os.open(name, _NEW, 0o600, dir_fd=folder)
            try:
                _copy(place, fd)
                os.fchmod(fd, node.mode & 0o777)
                os.utime(fd, ns=(node.mtime, node.mtime))
            finally:
                os.close(fd)
            if node.mode & 0o6000:
                self._left.append(f"/{shown(place.path)}: its set-user-id or set-group-id bit")


def _folder(top: int, path: bytes) -> int:
    """Return a directory below `top`, opened step by step; no link is followed."""
    folder = os.dup(top)
    for step in filter(None, path.split(b"/")):
        below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        os.close(folder)
        folder = below
    return folder


def _copy(place: Place, fd: int) -> None:
    """Write a file's content; what is all zeros stays a hole."""
    for number in sorted(place.files.windows(place.node)):
        at = number * WINDOW
        data = place.files.read(place.node, at, WINDOW)
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            if any(block):
                os.pwrite(fd, block, at + start)
    os.ftruncate(fd, place.node.size)
