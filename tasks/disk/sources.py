"""What a disk is filled from: the layers, the kernel, the initrd and the loader, as each partition's own tree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import content
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.kernel_paths import Placement, role
from bootsmith.tasks.tree.tar import Entry

FACTS = "facts"
"""The role of what is known of a kernel."""
ROOT_HASH = "roothash"
"""That of the root hash of a root that is verified, as text."""


@dataclass(frozen=True)
class FillingParams(Params):
    """What partitions are filled with: layers, by name, and kernels, None where there are none to put anywhere.

    `mounts` says where partitions are mounted.
    """

    epoch: int
    layers: tuple[str, ...]
    mounts: Mapping[str, str]
    kernels: Placement | None


class Filling(NamedTuple):
    """One partition's tree, the files its numbers mean, and for the root what the base layer alone makes of it."""

    tree: Tree
    base: Tree
    sources: tuple[Path, ...]


def read_facts(ctx: Context) -> dict[str, dict[str, str]]:
    """Return what is known of each kernel, by the entry whose it is."""
    found = {name: path for name, path in ctx.inputs.items() if name.partition("/")[0] == FACTS}
    return {name.partition("/")[2]: json.loads(path.read_bytes()) for name, path in found.items()}


def read_root_hash(ctx: Context) -> str:
    """Return the root hash of a root that is verified; nothing where none is."""
    path = ctx.inputs.get(ROOT_HASH)
    return path.read_text().strip() if path else ""


def gather(ctx: Context, params: FillingParams, partition: str) -> Filling:
    """Return what a partition is filled with, reading indexes only: the loader's too, where it is an input."""
    return gather_all(ctx, params, [partition])[partition]


def gather_all(ctx: Context, params: FillingParams, partitions: Sequence[str]) -> dict[str, Filling]:
    """Return what each partition is filled with."""
    from bootsmith.tasks.tree import layer

    epoch, mounts = params.epoch, params.mounts
    read = [layer.read_index(ctx.inputs[f"{name}.index"]) for name in params.layers]
    sources = [ctx.inputs.get(f"{name}.tar", ctx.inputs[f"{name}.index"]) for name in params.layers]
    trees = content.divide(layer.merge(read), mounts, epoch)
    base: dict[str, Tree] = {}
    if any(mounts.get(partition) == "/" for partition in partitions):
        base = trees if len(read) == 1 else content.divide(layer.merge(read[:1]), mounts, epoch)
    found = {}
    for partition in partitions:
        tree = dict(trees.get(partition, {}))
        content.make_directories(tree, [""], epoch)
        alone = base.get(partition, {}) if mounts.get(partition) == "/" else {}
        numbers = {role: number for number, role in enumerate(_boot_roles(ctx), len(sources))}
        found[partition] = Filling(tree, alone, (*sources, *(ctx.inputs[role] for role in numbers)))
        if params.kernels and params.kernels.partition == partition:
            _place_kernels(ctx, params.kernels, tree, numbers, epoch)
        if "loader.index" in ctx.inputs:
            entries = layer.read_index(ctx.inputs["loader.index"])
            _place_loader(partition, tree, entries, numbers["loader.tar"], epoch)
    return found


def _boot_roles(ctx: Context) -> list[str]:
    """Return the inputs that follow the layers."""
    kinds = ("kernel", "initrd", "loader.tar")
    return sorted(role for role in ctx.inputs if role.partition("/")[0] in kinds)


def _place_kernels(ctx: Context, where: Placement, tree: Tree, numbers: Mapping[str, int], epoch: int) -> None:
    where = where.named(read_facts(ctx))
    wanted = {path: role("initrd", owner) for owner, path in where.initrds.items()}
    for owner, path in where.kernels.items():
        if owner in where.own or path not in tree:  # a distribution's kernel stands in its own tree already
            wanted[path] = role("kernel", owner)
    content.place(
        tree, {path: (numbers[role], ctx.inputs[role].stat().st_size) for path, role in wanted.items()}, epoch
    )


def _place_loader(partition: str, tree: Tree, entries: tuple[Entry, ...], number: int, epoch: int) -> None:
    """Add the loader layer's files for a partition: those below a directory of its name."""
    for entry in entries:
        if entry.type == "f" and entry.path.startswith(f"{partition}/"):
            inside = entry.path.removeprefix(f"{partition}/")
            content.make_directories(tree, [inside.rpartition("/")[0]], epoch)
            tree[inside] = (number, entry._replace(path=inside))
