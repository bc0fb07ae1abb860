"""The stage `partition`: the disk's table and layout, every partition's geometry, and what FAT partitions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.luks import header
from bootsmith.tasks.disk.partition_table import PartitionParams, TableParams
from bootsmith.tasks.disk.partition_types import MBR_TYPES, TYPES
from bootsmith.tasks.disk.sizing import ExtForm
from bootsmith.tasks.planning import disk_inputs, placement
from bootsmith.tasks.planning.stages import extraction, populate
from bootsmith.tasks.recipe.model.disk import HASH_TREE

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.disk import Partition
    from bootsmith.tasks.recipe.model.recipe import Recipe


_ATTRIBUTES = {"legacy-boot": 2, "read-only": 60, "no-auto": 63}


def stage(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that writes the table and says how large every filesystem is."""
    outputs = {"table": site.table, "layout": site.layout}
    partitions = recipe.disk.partitions.values()
    contents = [each.name for each in partitions if each.fs == "vfat" and each.mount is not None]
    for name in recipe.disk.partitions:
        outputs[f"geometry.{name}"] = site.geometry(name)
    for name in contents:
        layer = site.content(name)
        outputs |= {f"content.{name}.tar": layer.tar, f"content.{name}.index": layer.index}
    return Stage(
        name="partition",
        run="bootsmith.tasks.disk.partition_table:run",
        inputs={
            **disk_inputs.indexes(recipe, site),
            **(disk_inputs.tars(recipe, site) if contents else {}),
            **disk_inputs.kernels(recipe, site),
            **{
                f"content.{part.name}": extraction.path(part.content, recipe, site)
                for part in partitions
                if part.content
            },
            **{f"packed.{part.name}": site.packed_size(part.name) for part in partitions if part.measured},
            **disk_inputs.root_hash(recipe, site),
        },
        outputs=outputs,
        params=TableParams(
            epoch=site.epoch,
            layers=disk_inputs.layers(recipe, site),
            mounts=placement.mounted(recipe.disk),
            kernels=placement.placement(recipe),
            size=recipe.disk.size,
            table=recipe.disk.table,
            id=recipe.disk.id,
            sector=recipe.disk.sector,
            partitions=tuple(_described(partition, recipe) for partition in partitions),
            contents=tuple(contents),
            images=placement.images(recipe),
        ).to_json(),
        doc="the partition table, and where every partition stands",
    )


def _attributes(partition: Partition) -> tuple[str | int, ...]:
    """Return a partition's flags: of what is verified none may be written to, which the specification wants said."""
    verified = partition.verity or partition.fs == HASH_TREE
    return (*partition.attributes, *(["read-only"] if verified else []))


def _described(partition: Partition, recipe: Recipe) -> PartitionParams:
    types = MBR_TYPES if recipe.disk.table == "mbr" else TYPES
    return PartitionParams(
        name=partition.name,
        fs=partition.fs,
        size=partition.size,
        extra=partition.extra,
        start=partition.start,
        kind=partition.type,
        type=types.get(partition.type, partition.type),
        active=partition.active,
        started=populate.is_started(recipe, partition),
        gpt_name=partition.gpt_name,
        partuuid=partition.partuuid,
        attributes=tuple(each if isinstance(each, int) else _ATTRIBUTES[each] for each in _attributes(partition)),
        in_table=partition.in_table,
        before=header.SIZES[partition.encrypt.luks] if partition.encrypt else 0,
        subvolumes=tuple(placement.inside(recipe.disk, each) for each in partition.subvolumes),
        ext=ExtForm(partition.features, partition.inode_size, partition.reserved),
    )
