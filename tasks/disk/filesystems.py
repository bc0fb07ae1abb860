"""The stages `populate/...`: one filesystem per partition, and the pristine base of the root filesystem.

The root filesystem starts as a copy of that base, which holds the base layer alone; then what the other layers change
is changed in it. So a small edit costs what it weighs, and the bytes follow from base and layers alone.
"""

from __future__ import annotations

import json
from typing import cast

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import fat, sizing, sources, splice
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.ext import filesystem
from bootsmith.tasks.disk.sizing import Geometry
from bootsmith.tasks.disk.sources import Filling
from bootsmith.tasks.errors import StageError


def run_ext(ctx: Context) -> None:
    """Make an ext filesystem and put the partition's whole tree into it."""
    name, filling = _gathered(ctx)
    image = ctx.outputs["image"]
    filesystem.make(
        ctx, image, _geometry(ctx), fs=str(ctx.params["fs"]), uuid=str(ctx.params["uuid"]),
        label=str(ctx.params["label"]), extra=cast("list[str]", ctx.params["mkfs"]),
    )  # fmt: skip
    _put(ctx, {}, filling, name)


def run_root(ctx: Context) -> None:
    """Copy the pristine root filesystem and change in it what the layers change."""
    name, filling = _gathered(ctx)
    image = ctx.outputs["image"]
    splice.reproduce(ctx.inputs["base"], image, ctx.previous)
    _put(ctx, filling.base, filling, name)


def run_fat(ctx: Context) -> None:
    """Make a FAT filesystem and put the partition's whole tree into it."""
    name, filling = _gathered(ctx)
    image, geometry = ctx.outputs["image"], _geometry(ctx)
    size = geometry.size
    demand = sizing.Demand([filling.tree], "vfat")
    if not demand.fits(size):
        raise StageError(
            f"partition {name}: {sizing.human(size)} is too small: it needs {sizing.human(demand.least())} for kernel, "
            "initrd, loader and whatever else it holds",
            f"Set disk.partitions.{name}.size to at least {sizing.human(demand.least())}.",
        )
    fat.make(
        ctx, image, size, serial=str(ctx.params["uuid"]), label=str(ctx.params["label"]),
        start=geometry.start, extra=cast("list[str]", ctx.params["mkfs"]),
    )  # fmt: skip
    fat.fill(ctx, image, name, filling.tree, filling.sources)


def _put(ctx: Context, present: Tree, filling: Filling, name: str) -> None:
    """Bring the image, which holds `present`, to the partition's tree."""
    epoch = cast("int", ctx.params["epoch"])
    filesystem.update(
        ctx, ctx.outputs["image"], name, present=present, wanted=filling.tree, sources=filling.sources, epoch=epoch
    )


def _gathered(ctx: Context) -> tuple[str, Filling]:
    name = str(ctx.params["partition"])
    return name, sources.gather(ctx, name)


def _geometry(ctx: Context) -> Geometry:
    return Geometry(**json.loads(ctx.inputs["geometry"].read_bytes()))
