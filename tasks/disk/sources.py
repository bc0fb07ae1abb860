"""What a disk is filled from: the layers, the kernel, the initrd and the loader, as each partition's own tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from bootsmith.tasks.disk import content
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.placement import Placement
from bootsmith.tasks.stage import Context
from bootsmith.tasks.tree.tar import Entry


@dataclass(frozen=True, slots=True)
class Filling:
    """One partition's tree, the files its numbers mean, and for the root what the base layer alone makes of it."""

    tree: Tree
    base: Tree
    sources: tuple[Path, ...]


def gather(ctx: Context, partition: str) -> Filling:
    """Return what a partition is filled with, reading indexes only: the loader's too, where it is an input."""
    return gather_all(ctx, [partition])[partition]


def gather_all(ctx: Context, partitions: list[str]) -> dict[str, Filling]:
    """Return what each partition is filled with."""
    from bootsmith.tasks.tree import layer

    epoch, mounts = cast("int", ctx.params["epoch"]), cast("Mapping[str, str]", ctx.params["mounts"])
    names = [str(name) for name in cast("list[str]", ctx.params["layers"])]
    read = [layer.read_index(ctx.inputs[f"{name}.index"]) for name in names]
    sources = [ctx.inputs.get(f"{name}.tar", ctx.inputs[f"{name}.index"]) for name in names]
    trees = content.divide(layer.merge(read), mounts, epoch)
    base: dict[str, Tree] = {}
    if any(mounts.get(partition) == "/" for partition in partitions):
        base = trees if len(read) == 1 else content.divide(layer.merge(read[:1]), mounts, epoch)
    found = {}
    for partition in partitions:
        tree = dict(trees.get(partition, {}))
        content.make_directories(tree, [""], epoch)
        alone = base.get(partition, {}) if mounts.get(partition) == "/" else {}
        found[partition] = Filling(tree, alone, (*sources, *_boot_files(ctx)))
        _place_kernels(ctx, partition, tree, len(sources), epoch)
        if "loader.index" in ctx.inputs:
            number = len(found[partition].sources) - 1
            _place_loader(partition, tree, layer.read_index(ctx.inputs["loader.index"]), number, epoch)
    return found


def _boot_files(ctx: Context) -> list[Path]:
    return [ctx.inputs[role] for role in ("kernel", "initrd", "loader.tar") if role in ctx.inputs]


def _place_kernels(ctx: Context, partition: str, tree: Tree, number: int, epoch: int) -> None:
    if ctx.params["kernels"] is None:
        return
    where = Placement(**cast("Mapping[str, Any]", ctx.params["kernels"]))
    if partition != where.partition:
        return
    kernel, initrd = where.named(json.loads(ctx.inputs["facts"].read_bytes()))
    wanted = {}
    if "initrd" in ctx.inputs:
        wanted[initrd] = (number + 1, ctx.inputs["initrd"].stat().st_size)
    if where.own or kernel not in tree:  # a distribution's kernel stands in its own tree already
        wanted[kernel] = (number, ctx.inputs["kernel"].stat().st_size)
    content.place(tree, wanted, epoch)


def _place_loader(partition: str, tree: Tree, entries: tuple[Entry, ...], number: int, epoch: int) -> None:
    """Add the loader layer's files for a partition: those below a directory of its name."""
    for entry in entries:
        if entry.type == "f" and entry.path.startswith(f"{partition}/"):
            inside = entry.path.removeprefix(f"{partition}/")
            content.make_directories(tree, [inside.rpartition("/")[0]], epoch)
            tree[inside] = (number, replace(entry, path=inside))
