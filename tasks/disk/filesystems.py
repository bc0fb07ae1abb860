"""The stages `populate/...`: one filesystem per partition, and the pristine base of the root filesystem.

The root filesystem starts as a copy of that base, which holds the base layer alone; then what the other layers change
is changed in it. So the bytes follow from base and layers alone. Where files changed since the previous one was made,
and no file's blocks in number, all but these files stand where they would stand in it; then they alone are written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import content, fat, sizing, sources, splice
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.ext import filesystem
from bootsmith.tasks.disk.sizing import ExtForm, Geometry
from bootsmith.tasks.disk.sources import Filling, FillingParams
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import layer, layer_changes


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
    changed = None if ctx.previous is None else _changed_files(ctx, params, filling)
    if ctx.previous is None:
        splice.copy_file(base, image)
    elif changed is None:
        splice.become(base, known, ctx.previous, ctx.previous_index())
        ctx.previous.rename(image)
    else:
        known = ctx.previous_index()
        ctx.previous.rename(image)
    if changed is None:
        written = _put(ctx, params, filling.base, filling)
    else:
        written = filesystem.revise(
            ctx, image, params.partition, paths=changed, wanted=filling.tree, sources=filling.sources,
            epoch=params.epoch,
        )  # fmt: skip
    if written is not None:
        with image.open("rb") as file:
            ctx.claim("image", known.reread(file.fileno(), written))


def _changed_files(ctx: Context, params: FilesystemParams, filling: Filling) -> list[str] | None:
    """Return the files of the root's tree that the previous image holds otherwise, and where else they would stand.

    None where more changed, or may have.
    """
    layers = {f"{name}.{kind}" for name in params.layers for kind in ("index", "tar")}
    if not all(ctx.stays(role) for role in ctx.inputs if role not in layers):
        return None
    found = []
    for number, name in enumerate(params.layers):
        if ctx.stays(f"{name}.index") and ctx.stays(f"{name}.tar"):
            continue
        earlier = ctx.earlier(f"{name}.index")
        pairs = None if earlier is None else layer_changes.between(earlier, ctx.inputs[f"{name}.index"])
        if pairs is None:
            return None
        for old, new in pairs:
            partition, path = content.owner(params.mounts, new.path)
            is_here = partition == params.partition
            if not filesystem.stands(old, new) or (not is_here and new.path in _linked(ctx, params)):
                return None
            if is_here and filling.tree.get(path) != (number, new):
                return None  # another layer's, or its data has another name
            if is_here:
                found.append(path)
    return found


def _linked(ctx: Context, params: FilesystemParams) -> set[str]:
    """Return what hard links of the layers lead to."""
    indexes = (layer.read_index(ctx.inputs[f"{name}.index"]) for name in params.layers)
    return {each.link for entries in indexes for each in entries if each.type == "h"}


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
