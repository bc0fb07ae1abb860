"""The stages `populate/...`: one filesystem per partition, and the pristine base of the root filesystem.

The root filesystem starts as a copy of that base, which holds the base layer alone; then what the other layers change
is changed in it. So a small edit costs what it weighs, and the bytes follow from base and layers alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from bootsmith.tasks.boot import placement as places
from bootsmith.tasks.boot import syslinux
from bootsmith.tasks.disk import ext4, fat, sizing, sources, splice
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.sizing import Geometry
from bootsmith.tasks.disk.sources import Filling
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.stage import Context, Json, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.recipe.model import Partition, Recipe
    from bootsmith.tasks.site import Site

_RUN = "bootsmith.tasks.disk.populate:"
_FAT_TOOLS = ("mkfs.vfat", "mcopy", "mmd")


def stages(recipe: Recipe, site: Site) -> tuple[Stage, ...]:
    """Return the stages that fill a recipe's partitions; those without a filesystem have none."""
    return tuple(_stages(recipe, site))


def _stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    for name, partition in recipe.disk.partitions.items():
        if partition.fs == "none":
            continue
        if partition.mount == "/":
            yield _base(recipe, partition, site)
        is_root = partition.mount == "/"
        yield Stage(
            name=f"populate/{name}",
            run=_RUN + ("run_fat" if partition.fs == "vfat" else "run_root" if is_root else "run_ext"),
            inputs=_inputs(recipe, partition, site),
            outputs={"image": site.partition_image(name)},
            params=_params(recipe, partition, site),
            tools=_tools(recipe, partition),
            stored=not is_root and partition.fs != "vfat",  # quicker to make again: the root is stored as its base
            carry="image" if is_root else None,
            doc=f"the filesystem of {name}",
        )


def _tools(recipe: Recipe, partition: Partition) -> tuple[str, ...]:
    if partition.fs != "vfat":
        return ("mke2fs",)
    return (*_FAT_TOOLS, *(syslinux.INSTALLER if syslinux.installation(recipe, partition.name) else ()))


def _base(recipe: Recipe, partition: Partition, site: Site) -> Stage:
    return Stage(
        name="populate/base",
        run=_RUN + "run_ext",
        inputs={"geometry": site.geometry(partition.name), "base.tar": site.base.tar, "base.index": site.base.index},
        outputs={"image": site.base_image(partition.name)},
        params=_filesystem(partition) | sources.params(recipe, site, kernels=False) | {"layers": [site.base.name]},
        tools=("mke2fs",),
        doc="the pristine root filesystem, of the base layer alone",
    )


def _inputs(recipe: Recipe, partition: Partition, site: Site) -> dict[str, Path]:
    found = {"geometry": site.geometry(partition.name)}
    if partition.mount == "/":
        found["base"] = site.base_image(partition.name)
    if partition.mount is not None and partition.fs == "vfat":
        content = site.content(partition.name)
        found |= {f"{content.name}.index": content.index, f"{content.name}.tar": content.tar}
    elif partition.mount is not None:
        found |= sources.indexes(recipe, site) | sources.tars(recipe, site)
    holds_kernels = _holds_kernels(recipe, partition.name)
    if holds_kernels:
        found |= sources.kernels(recipe, site)
    if holds_kernels or partition.name in (places.esp(recipe.disk), places.active(recipe.disk)):
        found |= {"loader.tar": site.loader.tar, "loader.index": site.loader.index}
    return found


def _params(recipe: Recipe, partition: Partition, site: Site) -> dict[str, Json]:
    found = _filesystem(partition) | sources.params(recipe, site, kernels=_holds_kernels(recipe, partition.name))
    found["syslinux"] = syslinux.installation(recipe, partition.name)
    if partition.mount is None:
        return found | {"layers": []}
    if partition.fs == "vfat":
        return found | {"layers": [site.content(partition.name).name], "mounts": {partition.name: "/"}}
    return found


def _holds_kernels(recipe: Recipe, name: str) -> bool:
    return places.placement(recipe).partition == name


def _filesystem(partition: Partition) -> dict[str, Json]:
    return {
        "partition": partition.name,
        "fs": partition.fs,
        "uuid": partition.uuid,
        "label": partition.label,
        "mkfs": list(partition.mkfs),
    }


def run_ext(ctx: Context) -> None:
    """Make an ext filesystem and put the partition's whole tree into it."""
    name, filling = _gathered(ctx)
    image = ctx.outputs["image"]
    ext4.make(
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
    if ctx.params["syslinux"] is not None:
        syslinux.install(ctx, image, cast("Mapping[str, str]", ctx.params["syslinux"])["folder"])


def _put(ctx: Context, present: Tree, filling: Filling, name: str) -> None:
    """Bring the image, which holds `present`, to the partition's tree."""
    epoch = cast("int", ctx.params["epoch"])
    ext4.update(ctx.outputs["image"], name, present=present, wanted=filling.tree, sources=filling.sources, epoch=epoch)


def _gathered(ctx: Context) -> tuple[str, Filling]:
    name = str(ctx.params["partition"])
    return name, sources.gather(ctx, name)


def _geometry(ctx: Context) -> Geometry:
    return Geometry(**json.loads(ctx.inputs["geometry"].read_bytes()))
