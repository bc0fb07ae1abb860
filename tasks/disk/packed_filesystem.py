"""The stages `populate/...` of packed filesystems: made before anybody knows how large their partitions will be."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import sources, squashfs
from bootsmith.tasks.disk.sources import FillingParams


@dataclass(frozen=True)
class PackedFilesystemParams(FillingParams):
    """A partition's filesystem."""

    partition: str


def run_squashfs(ctx: Context) -> None:
    """Pack the partition's whole tree as a squashfs, and say how large that is."""
    params = PackedFilesystemParams.of(ctx)
    filling = sources.gather(ctx, params, params.partition)
    image = ctx.outputs["image"]
    squashfs.pack(ctx, filling.tree, filling.sources, image, epoch=params.epoch)
    ctx.outputs["size"].write_text(json.dumps({"size": image.stat().st_size}) + "\n")
