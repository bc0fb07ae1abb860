"""The stage `bootloader`: the loader's files and entries, as a layer whose top folders are partitions.

Kernel and initrd are not in it: the filesystems take them as they are, so that another kernel command line costs no
more than a few text files.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from bootsmith.tasks.boot import grub_efi, menu, placement, systemd_boot
from bootsmith.tasks.stage import Context, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootsmith.tasks.boot.loader import Loader
    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.site import Site

LOADERS: Mapping[str, Loader] = {"systemd-boot": systemd_boot, "grub-efi": grub_efi}
"""Loader's name in recipes -> the module that makes it. Imported, not looked up: a stage's code must be found."""


def stage(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that makes the loader's files."""
    loader = LOADERS[recipe.boot.loader]
    where = placement.placement(recipe)
    return Stage(
        name="bootloader",
        run="bootsmith.tasks.boot.bootloader:run",
        inputs={"facts": site.kernel_facts, "base.tar": site.base.tar, "base.index": site.base.index},
        outputs={"tar": site.loader.tar, "index": site.loader.index},
        params={
            "epoch": site.epoch,
            "loader": recipe.boot.loader,
            "menu": menu.menu(recipe),
            "esp": placement.esp(recipe.disk),
            "kernels": {"partition": where.partition, "kernel": where.kernel, "initrd": where.initrd},
            "kernels_uuid": recipe.disk.partitions[where.partition].uuid,
            "host": not recipe.boot.packages,
        },
        tools=loader.TOOLS if recipe.boot.packages else (*loader.TOOLS, *loader.HOST),
        doc="the bootloader and its menu",
    )


def packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages that the recipe's bootloader needs in the tree."""
    if not recipe.boot.packages:
        return ()
    return LOADERS[recipe.boot.loader].packages(recipe.source.suite)


def run(ctx: Context) -> None:
    """Write the loader's layer."""
    from bootsmith.tasks.boot.loader import Making
    from bootsmith.tasks.tree.layer import LayerWriter

    params = cast("dict[str, Any]", ctx.params)
    facts = json.loads(ctx.inputs["facts"].read_bytes())
    where = placement.Placement(**params["kernels"])
    kernel, initrd = where.named(facts)
    with LayerWriter(ctx.outputs["tar"], ctx.outputs["index"], params["epoch"]) as layer:
        making = Making(
            ctx, layer, menu.from_param(params["menu"]), facts, params["esp"],
            where.partition, params["kernels_uuid"], kernel, initrd,
        )  # fmt: skip
        LOADERS[params["loader"]].make(making)
