"""The stage `partition`: the disk's table, its layout, every partition's geometry, and what FAT partitions hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import gpt, layout, mbr, sizing, sources
from bootsmith.tasks.disk.btrfs import space as btrfs
from bootsmith.tasks.disk.kernel_paths import Placement
from bootsmith.tasks.disk.sizing import MIB
from bootsmith.tasks.disk.sources import FillingParams
from bootsmith.tasks.disk.verity import form as verity

if TYPE_CHECKING:
    from bootsmith.tasks.disk.sources import Filling

_LOADER_ALLOWANCE = 4 * MIB  # of an automatic size, for loader files, which are made elsewhere


@dataclass(frozen=True)
class PartitionParams:
    """One partition; `kind` is its type as the recipe has it, `type` as the table does.

    `partuuid` is empty where it follows from a root hash, `started` says whether a BIOS goes on with its first sector,
    `attributes` are a GPT's bits, and `before` the bytes of it that stand before its filesystem; `subvolumes` are
    folders in it.
    """

    name: str
    fs: str
    size: int | Literal["auto", "remaining"]
    extra: int
    start: int | None
    kind: str
    type: str
    active: bool
    started: bool
    gpt_name: str
    partuuid: str
    attributes: tuple[int, ...]
    in_table: bool
    before: int
    ext: sizing.ExtForm
    subvolumes: tuple[str, ...]


@dataclass(frozen=True)
class TableParams(FillingParams):
    """The disk: `contents` are the FAT partitions with files of the tree, `images` the roles in each unified kernel."""

    kernels: Placement
    size: int | Literal["auto"]
    table: str
    id: str
    sector: int
    partitions: tuple[PartitionParams, ...]
    contents: tuple[str, ...]
    images: tuple[tuple[str, ...], ...]


def run(ctx: Context) -> None:
    """Write table, layout, geometries and contents."""
    params = TableParams.of(ctx)
    partitions = params.partitions
    fillings = sources.gather_all(ctx, params, [each.name for each in partitions])
    demands = [_demand(ctx, each, params, fillings[each.name]) for each in partitions]
    unified = sum(ctx.inputs[role].stat().st_size for roles in params.images for role in roles)
    kernels = params.kernels.partition
    wanted = [_wanted(each, demand, kernels, unified) for each, demand in zip(partitions, demands, strict=True)]
    planned = layout.plan(params.size, wanted, layout.bounds(params.table, params.sector))
    partitions = _identified(partitions, sources.read_root_hash(ctx))
    _write_table(ctx, planned, replace(params, partitions=partitions))
    rows = []
    for each, demand, place in zip(partitions, demands, planned.places, strict=True):
        geometry = sizing.Geometry(place.size - each.before)
        if isinstance(demand, sizing.Demand):
            geometry = demand.geometry(place.size - each.before)
        if each.started:
            geometry = geometry._replace(start=place.start)
        ctx.outputs[f"geometry.{each.name}"].write_text(json.dumps(geometry._asdict()) + "\n")
        row = {key: getattr(each, key) for key in ("name", "fs", "kind", "type", "gpt_name", "partuuid")}
        rows.append({**row, "start": place.start, "size": place.size})
    ctx.outputs["layout"].write_text(
        json.dumps({"table": params.table, "size": planned.size, "partitions": rows}, indent=1) + "\n"
    )
    for name in params.contents:
        _write_content(ctx, params, name, fillings[name])


def _identified(partitions: Sequence[PartitionParams], root_hash: str) -> tuple[PartitionParams, ...]:
    """Return the partitions with the GUIDs by which those of a verified root are found."""
    if not root_hash:
        return tuple(partitions)
    data, tree = verity.partuuids(root_hash)
    return tuple(
        each if each.partuuid else replace(each, partuuid=tree if each.fs == "verity" else data) for each in partitions
    )


def _write_content(ctx: Context, params: TableParams, name: str, filling: Filling) -> None:
    """Write what a partition takes from the layers as a layer of its own; FAT has no hard links, so there are none."""
    from bootsmith.tasks.tree.layer import LayerWriter

    tar, index = ctx.outputs[f"content.{name}.tar"], ctx.outputs[f"content.{name}.index"]
    with LayerWriter(tar, index, params.epoch) as writer:
        for path, node in filling.tree.items():
            number, entry = filling.tree[node[1].link] if node[1].type == "h" else node
            if number < len(params.layers):  # kernel and initrd are put there when it is filled
                writer.add_copy(entry._replace(path=path), filling.sources[number])


def _demand(
    ctx: Context, partition: PartitionParams, params: TableParams, filling: Filling
) -> sizing.Demand | sizing.Packed | btrfs.Demand | None:
    content = ctx.inputs.get(f"content.{partition.name}")
    if content is not None:
        return sizing.Packed(content.stat().st_size, params.sector)
    if partition.fs in ("none", "swap"):
        return None
    packed = ctx.inputs.get(f"packed.{partition.name}")
    if packed is not None:
        step = MIB if partition.fs == "verity" else sizing.PACKED_STEP
        return sizing.Packed(json.loads(packed.read_bytes())["size"], step)
    if partition.fs == "btrfs":
        return btrfs.Demand(filling.tree, partition.subvolumes)
    # the root filesystem is made from the base alone first, which must fit too
    trees = [filling.tree, filling.base] if params.mounts.get(partition.name) == "/" else [filling.tree]
    return sizing.Demand(trees, partition.fs, partition.ext, params.sector)


def _wanted(
    partition: PartitionParams, demand: sizing.Demand | sizing.Packed | btrfs.Demand | None, kernels: str, unified: int
) -> layout.Wanted:
    name, size, start, before = partition.name, partition.size, partition.start, partition.before
    extra = partition.extra
    if demand is None:
        least = MIB if partition.fs == "swap" else 0
        return layout.Wanted(name, size, MIB + before, lambda size: size - before >= least, MIB + before, start)
    if isinstance(demand, sizing.Packed):
        automatic, minimum = demand.automatic(), demand.least()
    else:
        allowance = _LOADER_ALLOWANCE if name == kernels or demand.fs == "vfat" else 0
        allowance += unified if partition.kind == "esp" else 0
        automatic = demand.automatic(extra, allowance) if isinstance(size, str) else 0
        minimum = demand.least(extra + allowance)  # advice that is enough, once the loader's files have come

    def fits(size: int) -> bool:
        return demand.fits(size - before, extra)

    return layout.Wanted(name, size, automatic + before, fits, minimum + before, start, extra)


def _write_table(ctx: Context, planned: layout.Layout, params: TableParams) -> None:
    if params.table == "mbr":
        primaries = [
            mbr.Slot(place.start, place.size, int(each.type, 16), each.active)
            for each, place in zip(params.partitions, planned.places, strict=True)
            if each.in_table
        ]
        start, end = mbr.encode(planned.size, params.id, primaries), b""
    elif params.table == "none":
        start = end = b""
    else:
        start, end = gpt.encode(planned.size, params.id, _slots(planned, params.partitions), params.sector)
    with ctx.outputs["table"].open("wb") as table:
        table.truncate(planned.size)
        table.write(start)
        table.seek(planned.size - len(end))
        table.write(end)


def _slots(planned: layout.Layout, partitions: Sequence[PartitionParams]) -> list[gpt.Slot]:
    slots = []
    for each, place in zip(partitions, planned.places, strict=True):
        if not each.in_table:
            continue
        bits = sum(1 << bit for bit in set(each.attributes))
        slots.append(gpt.Slot(place.start, place.size, each.type, each.partuuid, each.gpt_name, bits))
    return slots
