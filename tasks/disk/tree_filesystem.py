"""The outputs `ext4`, `squashfs` and `erofs`: the finished tree as one filesystem, without a disk around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import squashfs
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import finished_tree, merged_tar, scratch, unpacked_tree
from bootsmith.tasks.tree.finished_tree import TreeParams

EROFS_TOOLS: Final = (*scratch.TOOLS, "tar", "mkfs.erofs")

# $1: the tree's tar, the rest is what makes the image of the folder that it is unpacked to.
_UNPACK: Final = r"""
set -eu
from=$1
shift
tar --extract --file="$from" --directory="$TMPDIR" --numeric-owner --same-owner --same-permissions \
    --xattrs --xattrs-include=security.capability --xattrs-include='system.posix_acl_*'
exec "$@" "$TMPDIR"
"""


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
    """Pack the tree by mkfs.erofs, which takes a folder: unpacked where its owners are what they are in the tree."""
    params = TreeErofsParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    lost: list[str] = []
    tar = ctx.work / "packed.tar"
    merged_tar.write(tar, unpacked_tree.fitting(tree, lost), tree.sources)
    if lost:
        ctx.tell(unpacked_tree.told(lost, "the files that mkfs.erofs reads"))
    ctx.say("packing the tree")
    packed = [] if params.compress == "none" else [f"-z{params.compress}"]
    scratch.run_as_root(
        ctx, "mkfs.erofs", 2 * tar.stat().st_size, "sh", "-c", _UNPACK, "sh", tar,
        ctx.tool("mkfs.erofs"), "--quiet", *packed, f"-T{params.epoch}", f"-U{params.uuid}", ctx.outputs["image"],
    )  # fmt: skip
