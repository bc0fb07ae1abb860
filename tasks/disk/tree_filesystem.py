"""The outputs `ext4`, `squashfs` and `erofs`: the finished tree as one filesystem, without a disk around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import erofs, squashfs
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import finished_tree
from bootsmith.tasks.tree.finished_tree import TreeParams


@dataclass(frozen=True)
class TreeExtParams(TreeParams):
    """The filesystem; `size` of the file and `extra` room in bytes."""

    size: int | Literal["auto"]
    extra: int
    label: str
    uuid: str


@dataclass(frozen=True)
class TreeSquashfsParams(TreeParams):
    """By which of mksquashfs's ways it is packed."""

    compress: str


@dataclass(frozen=True)
class TreeErofsParams(TreeParams):
    """By which of mkfs.erofs's ways it is packed, or "none"."""

    compress: str
    uuid: str


def run_ext(ctx: Context) -> None:
    """Make an ext4 of the tree."""
    from bootsmith.tasks.disk import content, sizing
    from bootsmith.tasks.disk.ext import filesystem

    params = TreeExtParams.of(ctx)
    finished = finished_tree.gather(ctx, params)
    tree = dict(finished.entries)
    content.make_directories(tree, [""], params.epoch)
    demand = sizing.Demand([tree], "ext4")
    size = params.size
    if isinstance(size, str):
        size = demand.automatic(params.extra)
    elif not demand.fits(size):
        least = sizing.human(demand.least())
        raise StageError(
            f"the output ext4: {sizing.human(size)} is too small: the tree needs {least}", f"Set its size to {least}."
        )
    image = ctx.outputs["image"]
    filesystem.make(
        ctx, image, demand.geometry(size), sizing.ExtForm(), fs="ext4", uuid=params.uuid, label=params.label, extra=(),
        epoch=params.epoch,
    )  # fmt: skip
    filesystem.update(ctx, image, params.label, present={}, wanted=tree, sources=finished.sources, epoch=params.epoch)


def run_squashfs(ctx: Context) -> None:
    """Pack the tree by mksquashfs."""
    params = TreeSquashfsParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    squashfs.pack(ctx, tree.entries, tree.sources, ctx.outputs["image"], epoch=params.epoch, compress=params.compress)


def run_erofs(ctx: Context) -> None:
    """Pack the tree by mkfs.erofs."""
    params = TreeErofsParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    image = ctx.outputs["image"]
    erofs.pack(ctx, tree.entries, tree.sources, image, epoch=params.epoch, uuid=params.uuid, compress=params.compress)
