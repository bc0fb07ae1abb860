"""The files of a disk image as a source: the system's tree on it, or those of one partition."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.inspection.system_tree import Place, SystemTree
    from bootsmith.tasks.inspection.volumes import Image
    from bootsmith.tasks.tree.tar import Entry
    from bootsmith.tasks.tree.volume_files import VolumeFile

ROOT: Final = "root"
"""The partition that is a system's root, with what its fstab mounts over it."""
_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class DiskTreeParams(Params):
    """A partition's number or name, or ROOT."""

    partition: str


def take(ctx: Context) -> None:
    """Write the files as a tar, and its index."""
    from bootsmith.tasks.inspection import system_tree, volumes
    from bootsmith.tasks.tree import volume_files

    file, wanted = ctx.inputs["file"], DiskTreeParams.of(ctx).partition
    try:
        with volumes.looked_into(file) as image:
            tree = system_tree.whole(image) if wanted == ROOT else system_tree.SystemTree(image, _of(image, wanted), {})
            sockets = volume_files.write(file, _files(tree), ctx.outputs["tar"], ctx.outputs["index"])
            if image.files(tree.number).unclean:
                ctx.tell(f"{shown(file)}: it was not unmounted; its journal, which is not read, may know better")
    except UsageError as error:
        raise StageError(error.message, "Name another image, or its partition: source.disk.partition.") from error
    if sockets:
        ctx.tell(f"{shown(file)}: /{shown(sockets[0])}: sockets are no files of a tree, and left out")


def _of(image: Image, word: str) -> int:
    for number, part in image.parts.items():
        if word in (str(number), part.name):
            return number
    there = ", ".join(f"{number} {part.name}".strip() for number, part in image.parts.items())
    raise StageError(
        f"source.disk.partition: {image.path} has no partition {shown(word)}", f"There are {there}; or write root."
    )


def _files(tree: SystemTree) -> Iterator[VolumeFile]:
    from bootsmith.tasks.tree.tar import Entry
    from bootsmith.tasks.tree.volume_files import VolumeFile

    names: dict[tuple[int, int], str] = {}
    yield _file(tree.top, "")
    for place in tree.walk(tree.top):
        path, node = os.fsdecode(place.path), place.node
        inode = (id(place.files), node.inode)
        if node.kind != "d" and node.inode and inode in names:
            yield VolumeFile(Entry(path, "h", mtime=node.mtime // _NS, link=names[inode]))
            continue
        names[inode] = path
        yield _file(place, path)


def _file(place: Place, path: str) -> VolumeFile:
    from bootsmith.tasks.tree import volume_files
    from bootsmith.tasks.tree.tar import Entry

    node = place.node
    if path:
        above, _, name = path.rpartition("/")
        volume_files.child(above, os.fsencode(name))
    entry = Entry(path, node.kind, node.mode, node.uid, node.gid, mtime=node.mtime // _NS, xattrs=node.xattrs)
    if node.kind == "l":
        return volume_files.VolumeFile(entry._replace(mode=0o777, link=volume_files.link(node.target)))
    if node.kind in "bc":
        return volume_files.VolumeFile(entry._replace(major=node.device[0], minor=node.device[1]))
    if node.kind != "f":
        return volume_files.VolumeFile(entry)
    return _regular(place, entry._replace(size=node.size))


def _regular(place: Place, entry: Entry) -> VolumeFile:
    """Return a file with data: windows of it that nobody wrote are holes."""
    from bootsmith.tasks.disk.node import WINDOW
    from bootsmith.tasks.tree.volume_files import Holes, VolumeFile

    written = sorted(place.files.windows(place.node))
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
    return VolumeFile(entry, partial(_windows, place, written))


def _windows(place: Place, written: list[int]) -> Iterator[bytes]:
    from bootsmith.tasks.disk.node import WINDOW

    for number in written:
        yield place.files.read(place.node, number * WINDOW, WINDOW)
