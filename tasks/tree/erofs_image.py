"""An EROFS image as a source: its files read out of it."""

from __future__ import annotations

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import lz4, volume_files
from bootsmith.tasks.tree.erofs_volume import Erofs
from bootsmith.tasks.tree.image_bytes import ImageBytes
from bootsmith.tasks.tree.volume_files import Damaged


def take(ctx: Context) -> None:
    """Write the files of the image as a tar, and its index."""
    file = ctx.inputs["file"]
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        if not size:
            raise StageError(f"{shown(file)} is empty", "Name an EROFS image.")
        try:
            image = Erofs(ImageBytes(opened.fileno(), 0, size), lambda: lz4.load(ctx.tool(lz4.LIBRARY)))
        except Damaged as error:
            raise StageError(f"{shown(file)} cannot be read: {error}", "Name an EROFS image.") from error
        sockets = volume_files.write(file, image.files(), ctx.outputs["tar"], ctx.outputs["index"])
    if sockets:
        ctx.tell(f"{shown(file)}: /{shown(sockets[0])}: sockets are no files of a tree, and left out")
