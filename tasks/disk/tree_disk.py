"""A tree as a disk without loader or table, and the kernel in it that starts the disk: what run-dir and run-tgz run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree

EXTRA = 1 << 30
"""Bytes free for the guest, which writes into a snapshot: they cost nothing."""
UUID = "7c9d35e2-0a5e-4c3b-9d1f-5b6f5d0a7e41"
_NAME = "root"


@dataclass(frozen=True)
class DirectoryDiskParams(Params):
    """`owners` and `times` are what `ownership.facts` told of the directory."""

    epoch: int
    owners: str
    times: str


def pack_directory(ctx: Context) -> None:
    """Make the disk of a directory."""
    from bootsmith.tasks.tree import directory, host_files, ownership
    from bootsmith.tasks.tree.layer import LayerWriter

    top, params = ctx.inputs["tree"], DirectoryDiskParams.of(ctx)
    ctx.say("reading the directory")
    tar, index = ctx.work / "tree.tar", ctx.work / "tree.index"
    owners = ownership.of(top)
    with host_files.steady(top), LayerWriter(tar, index, params.epoch) as writer:
        status = top.stat()
        writer.add_directory("", directory.kept_mode(status), xattrs=directory.attributes(top, owners.inside))
        writer.date("", ownership.mtime(status))
        directory.add_tree(writer, top, owners.inside, time=ownership.mtime)
    directory.check_unchanged(top, params.owners, params.times)
    _make(ctx, tar, index, params.epoch)


@dataclass(frozen=True)
class TarDiskParams(Params):
    """How the tar is packed, None where it is not."""

    epoch: int
    packing: str | None


def unpack_tar(ctx: Context) -> None:
    """Make the disk of a tar."""
    from bootsmith.tasks.tree import archive

    file, index, params = ctx.inputs["tree"], ctx.work / "tree.index", TarDiskParams.of(ctx)
    tar = file
    if params.packing:
        tar = ctx.work / "tree.tar"
        archive.unpack(ctx, file, tar)
    archive.index(ctx, tar, index, file)
    _make(ctx, tar, index, params.epoch)


def _make(ctx: Context, tar: Path, index: Path, epoch: int) -> None:
    from bootsmith.tasks.disk import content, sizing
    from bootsmith.tasks.disk.ext import filesystem
    from bootsmith.tasks.tree import layer
    from bootsmith.tasks.tree.merged import Tree

    if "kernel" in ctx.outputs:
        _take_kernel(ctx, Tree([index], [tar]))
    tree = layer.merge([layer.read_index(index)])
    content.make_directories(tree, [""], epoch)
    demand = sizing.Demand([tree], "ext4")
    geometry = demand.geometry(demand.automatic(EXTRA))
    ctx.say("writing the disk")
    image = ctx.outputs["disk"]
    filesystem.make(ctx, image, geometry, sizing.ExtForm(), fs="ext4", uuid=UUID, label=_NAME, extra=(), epoch=epoch)
    filesystem.update(ctx, image, _NAME, present={}, wanted=tree, sources=[tar], epoch=epoch)


def _take_kernel(ctx: Context, tree: Tree) -> None:
    """Copy the newest kernel, and its initrd; where there is none an empty file stands for it."""
    from bootsmith.tasks.tree import initrd_archive, installed_kernel

    found = installed_kernel.kernels(tree)
    if not found:
        raise StageError(
            f"there is no kernel in {ctx.inputs['tree']} ({installed_kernel.PLACES})",
            "Give one: --kernel and --initrd.",
        )
    version = installed_kernel.newest(found)
    ctx.say(f"kernel {version}")
    installed_kernel.take(tree, found[version], ctx.outputs["kernel"], "amd64", "give one: --kernel and --initrd")
    initrd = installed_kernel.initrd(tree, version, installed_kernel.suffix(found[version]))
    if initrd:
        initrd_archive.take(tree, initrd, ctx.outputs["initrd"], "give one: --kernel and --initrd")
    else:
        ctx.outputs["initrd"].touch()
