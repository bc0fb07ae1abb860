"""A container image as a source: its layers, laid over each other as one tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import archive, foreign_tar, layer, merged_tar
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.saved_image import SavedImage
from bootsmith.tasks.tree.tar import Entry, scan


@dataclass(frozen=True)
class ContainerImageParams(Params):
    """The machine that the image is for."""

    arch: str


def take(ctx: Context) -> None:
    """Write the image's tree as one tar, and its index."""
    file = ctx.inputs["file"]
    tar = file
    if not file.is_dir() and archive.packing(file) is not None:
        tar = ctx.work / "image.tar"
        archive.unpack(ctx, file, tar)
    lay(ctx, SavedImage(file, tar, ContainerImageParams.of(ctx).arch), file, ctx.outputs["tar"])
    foreign_tar.index(ctx.outputs["tar"], ctx.outputs["index"])


def lay(ctx: Context, image: SavedImage, file: Path, target: Path) -> None:
    """Write the tree of an image, which came in `file`, as one tar."""
    layers = image.layers()
    tars: list[Path] = []
    indexes: list[list[Entry]] = []
    for number, source in enumerate(layers):
        ctx.say(f"unpacking layer {number + 1} of {len(layers)}")
        tar = ctx.work / f"{number}.tar"
        image.unpack(source, tar)
        with _told_of(file, tar, number):
            indexes.append(_entries(tar, indexes, tars))
        tars.append(tar)
    merged_tar.write(target, merged_tar.members(layer.merge(indexes)), tars)
    for tar in tars:
        tar.unlink()


def _entries(tar: Path, below: Sequence[Sequence[Entry]], tars: Sequence[Path]) -> list[Entry]:
    """Return the entries of a layer, each where the tree below really has its place."""
    entries = [each for each in foreign_tar.settled(list(scan(tar)), tar) if not _is_left_over(each)]
    for each in entries:
        if each.name.startswith(layer.WHITEOUT) and (each.type != "f" or each.size):
            raise StageError(
                f"/{shown(each.path)} has the name by which layers say that a file is removed, and is a file"
            )
    own = {each.path for each in entries if each.type == "d"}
    if not below or all(not each.parent or each.parent in own for each in entries):
        return entries
    tree = Tree((), tars)
    tree.entries = layer.merge(below)
    return [each._replace(path=f"{_place(each.parent, tree, own)}/{each.name}".lstrip("/")) for each in entries]


def _is_left_over(entry: Entry) -> bool:
    """Tell whether an entry is what aufs, an older file system of engines, had for itself."""
    return entry.path.startswith((".wh..wh.aufs", ".wh..wh.plnk", ".wh..wh.orph"))


def _place(folder: str, tree: Tree, own: set[str]) -> str:
    """Return where a folder is that a layer only names: links below are followed, if the layer has no folder there."""
    parts = folder.split("/") if folder else []
    for number in range(1, len(parts) + 1):
        above = "/".join(parts[:number])
        entry = tree.entries.get(above, (0, None))[1]
        if above not in own and entry is not None and entry.type == "l":
            return tree.resolve(folder)
    return folder


@contextmanager
def _told_of(file: Path, tar: Path, number: int) -> Iterator[None]:
    """Tell of the user's file what is wrong with a layer of it."""
    try:
        yield
    except StageError as error:
        message = error.message.replace(str(tar), f"layer {number + 1}")
        raise StageError(f"{shown(file)}: layer {number + 1}: {message}", error.hint) from error
