"""A tree in a tar, plain or packed, as the base layer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.stage import Context
from bootsmith.tasks.tree import layer, magic

PACKERS: Final = ("gzip", "zstd", "xz")
"""What unpacks each packing, by the packing's own name."""


def packing(file: Path) -> str | None:
    """Return how a tar is packed, None where it is not. Raises StageError where nobody here unpacks it."""
    try:
        with file.open("rb") as opened:
            found = magic.packing(opened.read(16))
    except OSError as error:
        raise StageError(f"{file} cannot be read: {error.strerror}", "Name a tar of a tree.") from error
    if found is not None and found not in PACKERS:
        raise StageError(f"{file} is packed by {found}", f"Unpack it, or pack it by {', '.join(PACKERS)}.")
    return found


def take(ctx: Context) -> None:
    """Unpack the tar, and index it."""
    file, tar = ctx.inputs["file"], ctx.outputs["tar"]
    if packing(file) is None:
        shutil.copyfile(file, tar)
    else:
        unpack(ctx, file, tar)
    index(tar, ctx.outputs["index"], file)


def unpack(ctx: Context, file: Path, tar: Path) -> None:
    """Write a packed tar as it was before. Raises StageError where it is damaged."""
    packer = packing(file)
    assert packer is not None, "it is packed"
    ctx.say(f"unpacking {file.name}")
    try:
        ctx.run(packer, "-dc", file, stdout=tar)
    except ToolFailed as error:
        raise StageError(f"{file} is damaged: {error}", "Copy or make it again.") from error


def index(tar: Path, target: Path, file: Path) -> None:
    """Write the index of a tar. What is wrong with it is told of `file`, the user's, not of our copy of it."""
    try:
        layer.index_tar(tar, target)
    except StageError as error:
        raise StageError(error.message.replace(str(tar), str(file)), error.hint.replace(str(tar), str(file))) from error
