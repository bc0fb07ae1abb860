"""The stages `populate/...` of btrfs: a partition's filesystem, written with all that is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import sizing, sources
from bootsmith.tasks.disk.btrfs import checksum, filesystem, space
from bootsmith.tasks.disk.ext.library import library
from bootsmith.tasks.disk.sources import FillingParams
from bootsmith.tasks.errors import StageError

TOOLS = ("mke2fs",)
"""Beside whose libext2fs nothing is needed."""


@dataclass(frozen=True)
class BtrfsParams(FillingParams):
    """A partition's filesystem; `subvolumes` are folders in it."""

    partition: str
    uuid: str
    label: str
    subvolumes: tuple[str, ...]


def run(ctx: Context) -> None:
    """Write the filesystem. Raises StageError."""
    params = BtrfsParams.of(ctx)
    filling = sources.gather(ctx, params, params.partition)
    size = sizing.Geometry(**json.loads(ctx.inputs["geometry"].read_bytes())).size
    crc32c = checksum.load(library(ctx.tool("mke2fs")))
    try:
        filesystem.write(
            ctx.outputs["image"], size, filling.tree, filling.sources, params.uuid, params.label, params.epoch, crc32c,
            params.subvolumes,
        )  # fmt: skip
    except filesystem.Full as error:
        name, least = params.partition, sizing.human(space.Demand(filling.tree, params.subvolumes).least())
        raise StageError(
            f"partition {name}: {sizing.human(size)} is too small: its files need {least}",
            f"Set disk.partitions.{name}.size to at least {least}.",
        ) from error
