"""The stage `assemble`: the raw disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.raw_image import DiskParams
from bootsmith.tasks.planning.stages import bootloader, populate
from bootsmith.tasks.recipe.model.outputs import Raw

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def raw_disk(recipe: Recipe, site: Site) -> Path:
    """Return where the raw disk is made: the recipe's own raw output, where one is neither packed nor grown."""
    for output in recipe.outputs:
        if isinstance(output, Raw) and output.compress == "none" and not output.size:
            return site.output(output.file)
    return site.build / "assemble/disk.raw"


def stage(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that assembles a recipe's disk."""
    images = {name: populate.image(recipe, part, site) for name, part in recipe.disk.partitions.items()}
    found = {name: image for name, image in images.items() if image is not None}
    return Stage(
        name="assemble",
        run="bootsmith.tasks.disk.raw_image:run",
        inputs={
            "table": site.table,
            "layout": site.layout,
            **(site.boot_code if bootloader.has_boot_code(recipe) else {}),
            **{f"partition.{name}": image for name, image in found.items()},
        },
        outputs={"disk": raw_disk(recipe, site)},
        params=DiskParams(tuple(found)).to_json(),
        carry="disk",
        doc="the raw disk",
    )
