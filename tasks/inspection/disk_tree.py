"""The files of a disk image as a source: the system's tree on it, or those of one partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.inspection.volumes import Image

ROOT: Final = "root"
"""The partition that is a system's root, with what its fstab mounts over it."""


@dataclass(frozen=True)
class DiskTreeParams(Params):
    """A partition's number or name, or ROOT."""

    partition: str


def take(ctx: Context) -> None:
    """Write the files as a tar, and its index."""
    file, wanted = ctx.inputs["file"], DiskTreeParams.of(ctx).partition
    from bootsmith.tasks.disk import node_files
    from bootsmith.tasks.inspection import opening, system_tree
    from bootsmith.tasks.tree import volume_files

    try:
        with opening.looked_into(file, find=ctx.tool) as image:
            tree = system_tree.whole(image) if wanted == ROOT else system_tree.SystemTree(image, _of(image, wanted), {})
            top = tree.top
            places = ((each.path, each.files, each.node) for each in (top, *tree.walk(top)))
            sockets = volume_files.write(file, node_files.taken(places), ctx.outputs["tar"], ctx.outputs["index"])
            if image.files(tree.number).unclean:
                ctx.tell(f"{shown(file)}: it was not unmounted; its journal, which is not read, may know better")
    except UsageError as error:
        raise StageError(error.message, error.hint) from error
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
