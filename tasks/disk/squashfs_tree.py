"""A squashfs image as a source: its files, read out of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import node_files
from bootsmith.tasks.disk.squashfs_files import SquashfsFiles
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import volume_files

if TYPE_CHECKING:
    from bootsmith.tasks.disk.node import Node, Reader


def take(ctx: Context) -> None:
    """Write the files of the image as a tar, and its index."""
    file = ctx.inputs["file"]
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(0)
        if opened.read(4) != b"hsqs":
            raise StageError(f"{shown(file)} is no squashfs", "Name one; a disk image is source: disk.")
        files = SquashfsFiles(file, opened.fileno(), 0, size)
        found = node_files.taken(_below(files))
        sockets = volume_files.write(file, found, ctx.outputs["tar"], ctx.outputs["index"])
    if sockets:
        ctx.tell(f"{shown(file)}: /{shown(sockets[0])}: sockets are no files of a tree, and left out")


def _below(files: SquashfsFiles) -> Iterator[tuple[bytes, Reader, Node]]:
    """Yield the top, and what is below it. Raises Damaged for a directory that is in two places."""
    yield b"", files, files.root
    waiting: list[tuple[bytes, Node]] = [(b"", files.root)]
    seen, count = {files.root.inode}, 0
    while waiting:
        above, folder = waiting.pop()
        for name, node in files.children(above, folder):
            path = above + b"/" + name if above else name
            count += 1
            if count > volume_files.MOST_FILES:
                raise volume_files.Damaged("it has more than ten million files")
            yield path, files, node
            if node.kind == "d":
                if node.inode in seen:
                    raise volume_files.Damaged(f"/{shown(path)} is in two places")
                seen.add(node.inode)
                waiting.append((path, node))
