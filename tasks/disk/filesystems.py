"""The stages `populate/...`: one filesystem per partition, and the pristine base of the root filesystem.

The root filesystem starts as a copy of that base, which holds the base layer alone; then what the other layers change
is changed in it. So a small edit costs what it weighs, and the bytes follow from base and layers alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import fat, sizing, sources, splice
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.ext import filesystem
from bootsmith.tasks.disk.sizing import ExtForm, Geometry
from bootsmith.tasks.disk.sources import Filling, FillingParams
from bootsmith.tasks.errors import StageError


@dataclass(frozen=True)
class FilesystemParams(FillingParams):
    """A partition's filesystem; `mkfs` are further words for the program that makes it, `sector` the disk's."""

    partition: str
    fs: str
    uuid: str
    label: str
    ext: ExtForm
    mkfs: tuple[str, ...]
    sector: int


def run_ext(ctx: Context) -> None:
    """Make an ext filesystem and put the partition's whole tree into it."""
    params = FilesystemParams.of(ctx)
    filling = sources.gather(ctx, params, params.partition)
    filesystem.make(
        ctx, ctx.outputs["image"], _geometry(ctx), params.ext, fs=params.fs, uuid=params.uuid, label=params.label,
        extra=params.mkfs, epoch=params.epoch,
    )  # fmt: skip
    _put(ctx, params, {}, filling)


def run_root(ctx: Context) -> None:
    """Copy the pristine root filesystem and change in it what the layers change."""
    params = FilesystemParams.of(ctx)
    filling = sources.gather(ctx, params, params.partition)
    base, image, known = ctx.inputs["base"], ctx.outputs["image"], ctx.index("base")
    if ctx.previous is None:
        splice.copy_file(base, image)
    else:
        splice.become(base, known, ctx.previous, ctx.previous_index())
        ctx.previous.rename(image)
    written = _put(ctx, params, filling.base, filling)
    if written is not None:
        with image.open("rb") as file:
            ctx.claim("image", known.reread(file.fileno(), written))


def run_fat(ctx: Context) -> None:
    """Make a FAT filesystem and put the partition's whole tree into it."""
    make_fat(ctx, FilesystemParams.of(ctx))


def make_fat(ctx: Context, params: FilesystemParams) -> None:
    """Make the FAT filesystem that these parameters tell of."""
    name, filling = params.partition, sources.gather(ctx, params, params.partition)
    image, geometry = ctx.outputs["image"], _geometry(ctx)
    size = geometry.size
    demand = sizing.Demand([filling.tree], "vfat", sector=params.sector)
    if not demand.fits(size):
        raise StageError(
            f"partition {name}: {sizing.human(size)} is too small: it needs {sizing.human(demand.least())} for kernel, "
            "initrd, loader and whatever else it holds",
            f"Set disk.partitions.{name}.size to at least {sizing.human(demand.least())}.",
        )
    fat.make(
        ctx, image, size, serial=params.uuid, label=params.label, start=geometry.start, extra=params.mkfs,
        sector=params.sector,
    )  # fmt: skip
    fat.fill(ctx, image, name, filling.tree, filling.sources)


def _put(ctx: Context, params: FilesystemParams, present: Tree, filling: Filling) -> set[int] | None:
    """Bring the image, which holds `present`, to the partition's tree; return what `filesystem.update` does."""
    return filesystem.update(
        ctx, ctx.outputs["image"], params.partition, present=present, wanted=filling.tree, sources=filling.sources,
        epoch=params.epoch,
    )  # fmt: skip


def _geometry(ctx: Context) -> Geometry:
    return Geometry(**json.loads(ctx.inputs["geometry"].read_bytes()))
