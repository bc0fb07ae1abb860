"""Files that a reader finds in an image, on their way into a tar."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from bootsmith.tasks.disk.node import WINDOW, Node, Reader
from bootsmith.tasks.tree import volume_files
from bootsmith.tasks.tree.tar import Entry
from bootsmith.tasks.tree.volume_files import Holes, VolumeFile

_NS: Final = 1_000_000_000


def taken(found: Iterable[tuple[bytes, Reader, Node]]) -> Iterator[VolumeFile]:
    """Yield files by their paths from the top, as a tar has them; further names of one are hard links."""
    names: dict[tuple[int, int], str] = {}
    for where, files, node in found:
        path, inode = os.fsdecode(where), (id(files), node.inode)
        if node.kind != "d" and node.inode and inode in names:
            yield VolumeFile(Entry(path, "h", mtime=node.mtime // _NS, link=names[inode]))
        else:
            names[inode] = path
            yield _file(files, node, path)


def _file(files: Reader, node: Node, path: str) -> VolumeFile:
    if path:
        above, _, name = path.rpartition("/")
        volume_files.child(above, os.fsencode(name))
    entry = Entry(path, node.kind, node.mode, node.uid, node.gid, mtime=node.mtime // _NS, xattrs=node.xattrs)
    if node.kind == "l":
        return VolumeFile(entry._replace(mode=0o777, link=volume_files.link(node.target)))
    if node.kind in "bc":
        return VolumeFile(entry._replace(major=node.device[0], minor=node.device[1]))
    return _regular(files, node, entry._replace(size=node.size)) if node.kind == "f" else VolumeFile(entry)


def _regular(files: Reader, node: Node, entry: Entry) -> VolumeFile:
    """Return a file with data: windows of it that nobody wrote are holes."""
    written = sorted(files.windows(node))
    if len(written) < -(-entry.size // WINDOW):
        holes, at = Holes(entry.size), 0
        for number in written:
            if number > at:
                holes.hole((number - at) * WINDOW)
            holes.data(WINDOW)
            at = number + 1
        if at * WINDOW < entry.size:
            holes.hole(entry.size - at * WINDOW)
        entry = entry._replace(stretches=holes.stretches())
    return VolumeFile(entry, partial(_data, files, node, written))


def _data(files: Reader, node: Node, written: list[int]) -> Iterator[bytes]:
    for number in written:
        yield files.read(node, number * WINDOW, WINDOW)
