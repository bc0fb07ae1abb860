"""The stages `populate/...` of packed filesystems: made before anybody knows how large their partitions will be."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import erofs, sources, squashfs
from bootsmith.tasks.disk.sources import FillingParams


@dataclass(frozen=True)
class PackedFilesystemParams(FillingParams):
    """A partition's filesystem."""

    partition: str


@dataclass(frozen=True)
class PackedErofsParams(PackedFilesystemParams):
    """A partition's filesystem that has a UUID."""

    uuid: str


def run_squashfs(ctx: Context) -> None:
    """Pack the partition's whole tree as a squashfs, and say how large that is."""
    params = PackedFilesystemParams.of(ctx)
    filling = sources.gather(ctx, params, params.partition)
    squashfs.pack(ctx, filling.tree, filling.sources, ctx.outputs["image"], epoch=params.epoch)
    _measure(ctx)


def run_erofs(ctx: Context) -> None:
    """Pack the partition's whole tree as an EROFS, and say how large that is."""
    params = PackedErofsParams.of(ctx)
    filling = sources.gather(ctx, params, params.partition)
    erofs.pack(ctx, filling.tree, filling.sources, ctx.outputs["image"], epoch=params.epoch, uuid=params.uuid)
    _measure(ctx)


def _measure(ctx: Context) -> None:
    ctx.outputs["size"].write_text(json.dumps({"size": ctx.outputs["image"].stat().st_size}) + "\n")
