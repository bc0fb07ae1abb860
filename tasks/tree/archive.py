"""A tree in a tar, plain or packed, as the base layer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.tree import boot_formats, foreign_tar, image_archive, layer

PACKERS: Final = ("gzip", "zstd", "xz")
"""What unpacks each packing, by the packing's own name."""


def packing(file: Path) -> str | None:
    """Return how a tar is packed, None where it is not. Raises StageError where nobody here unpacks it."""
    try:
        with file.open("rb") as opened:
            found = boot_formats.packing(opened.read(16))
    except OSError as error:
        raise StageError(f"{file} cannot be read: {error.strerror}", "Name a tar of a tree.") from error
    if found is not None and found not in PACKERS:
        raise StageError(f"{file} is packed by {found}", f"Unpack it, or pack it by {', '.join(PACKERS)}.")
    return found


@dataclass(frozen=True)
class TarParams(Params):
    """Which part of the tar is the tree: what lies in a directory of it, without so many leading directories."""

    subdir: str
    strip: int


def take(ctx: Context) -> None:
    """Unpack the tar, or the part of it that is wanted, and index it."""
    file, tar, params = ctx.inputs["file"], ctx.outputs["tar"], TarParams.of(ctx)
    if params != TarParams("/", 0):
        _take_part(ctx, file, tar, params)
        return
    if packing(file) is None:
        shutil.copyfile(file, tar)
    else:
        unpack(ctx, file, tar)
    index(ctx, tar, ctx.outputs["index"], file)


def _take_part(ctx: Context, file: Path, tar: Path, params: TarParams) -> None:
    from bootsmith.tasks.tree import excerpt

    whole = file
    if packing(file) is not None:
        whole = ctx.work / "whole.tar"
        unpack(ctx, file, whole)
    with _told_of(file, whole):
        whiteouts = excerpt.write(whole, tar, ctx.outputs["index"], subdir=params.subdir, strip=params.strip)
        _tell_of_whiteouts(ctx, file, whiteouts)


def unpack(ctx: Context, file: Path, tar: Path) -> None:
    """Write a packed tar as it was before. Raises StageError where it is damaged."""
    packer = packing(file)
    assert packer is not None, "it is packed"
    ctx.say(f"unpacking {file.name}")
    try:
        ctx.run(packer, "-dc", file, stdout=tar)
    except ToolFailed as error:
        raise StageError(f"{file} is damaged: {error}", "Copy or make it again.") from error


def index(ctx: Context, tar: Path, target: Path, file: Path) -> None:
    """Write the index of a tar. What is wrong with it is told of `file`, the user's, not of our copy of it."""
    with _told_of(file, tar):
        _tell_of_whiteouts(ctx, file, foreign_tar.index(tar, target))
    top = {entry.path: entry for entry in layer.read_index(target) if entry.type == "f" and "/" not in entry.path}
    sizes = ((path, entry.size) for path, entry in top.items())
    image_archive.check(str(file), sizes, lambda path: layer.read_member(tar, top[path]))


def _tell_of_whiteouts(ctx: Context, file: Path, paths: Sequence[str]) -> None:
    if paths:
        among = f" and {len(paths) - 1} more" if paths[1:] else ""
        ctx.tell(
            f"{shown(file)}: /{shown(paths[0])}{among} left out: by such a name a layer says that a file is removed, "
            "and below this one there is none"
        )


@contextmanager
def _told_of(file: Path, copy: Path) -> Iterator[None]:
    """Tell of the user's file what is wrong with our copy of it."""
    try:
        yield
    except StageError as error:
        message, hint = (text.replace(str(copy), str(file)) for text in (error.message, error.hint))
        raise StageError(message, hint) from error
