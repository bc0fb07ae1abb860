"""The plan of a recipe: each kind of stage is asked which of its kind the recipe needs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.plan import Plan, in_order
from bootsmith.tasks.planning import inputs, products
from bootsmith.tasks.planning.stages import (
    assemble,
    boot_file_outputs,
    bootloader,
    builds,
    cloud_seed,
    convert,
    extraction,
    initrd,
    iso,
    kernel,
    layers,
    partition,
    populate,
    readback,
    rootfs,
    taken,
    tree_outputs,
)
from bootsmith.tasks.recipe import boot_files

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def plan(recipe: Recipe, site: Site) -> Plan:
    """Return the plan of a recipe whose build lives at `site`."""
    stages = [
        *rootfs.lock_parts(recipe, site),
        *rootfs.context(recipe, site),
        rootfs.stage(recipe, site),
        *extraction.stages(recipe, site),
        *builds.stages(recipe, site),
        *layers.stages(recipe, site),
        *kernel.stages(recipe, site),
        *initrd.stages(recipe, site),
    ]
    if recipe.disk.partitions and not recipe.bootless:
        stages += [
            bootloader.stage(recipe, site),
            partition.stage(recipe, site),
            *populate.stages(recipe, site),
            assemble.stage(recipe, site),
            *convert.stages(recipe, site),
            *readback.stages(recipe, site),
        ]
    stages += boot_file_outputs.stages(recipe, site)
    stages += iso.stages(recipe, site)
    stages += cloud_seed.stages(recipe, site)
    stages += tree_outputs.stages(recipe, site)
    for file, other in recipe.others.items():
        stages += taken.stages(plan(other, site.others[file]), stages)
    outputs = [site.output(file) for output in recipe.outputs for file in output.files]
    if not recipe.disk.partitions:  # nothing else needs what entries have of their own, and they boot
        outputs += [site.kernel_for(entry) for entry in boot_files.kernels(recipe.boot) if entry]
        outputs += [site.initrd_for(entry) for entry in boot_files.initrds(recipe.boot) if entry]
    made = Plan(
        site.name,
        site.build,
        site.lock,
        site.epoch,
        recipe.file,
        recipe.description,
        tuple(in_order(stages)),
        tuple(outputs),
        named=inputs.named(recipe),
    )
    return products.complete(made)
