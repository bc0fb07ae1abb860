"""The stages `readback...`: the raw disk, read back before it counts as built, and filesystems, by their own programs.

All of a disk is looked at each time it was made, which takes a tenth of a second. A filesystem beside the root is
looked at by its own program when it was made, and not when something else on the disk was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.inspection.checker_output import program
from bootsmith.tasks.inspection.readback import CheckParams
from bootsmith.tasks.planning import expectation
from bootsmith.tasks.planning.stages.assemble import raw_disk
from bootsmith.tasks.recipe.loaders import partitions
from bootsmith.tasks.tree import lz4

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.disk import Partition
    from bootsmith.tasks.recipe.model.recipe import Recipe

_KINDS = {"vfat": "FAT"}


def stages(recipe: Recipe, site: Site) -> tuple[Stage, ...]:
    """Return the stages that read a recipe's disk back; none where the recipe wants none."""
    if recipe.verify == "off":
        return ()
    checks, tools, verdicts = [], [], {}
    for name, partition in recipe.disk.partitions.items():
        tool, options = program(_KINDS.get(partition.fs, partition.fs))
        if not tool or "filesystems" in recipe.verify.skip:
            continue
        if partition.mount == "/" and tool == "e2fsck" and not partition.encrypt:
            tools.append(tool)
            continue
        verdicts[f"checked.{name}"] = site.verdict(name)
        checks.append(_check(name, CheckParams(tool, options), site.partition_image(name), site.verdict(name)))
    verified = partitions.verity(recipe.disk)
    if verified and "verity" not in recipe.verify.skip:
        checks.append(_verification(*verified, site))
        verdicts[f"checked.{verified[1].name}"] = site.verdict(verified[1].name)
    whole = Stage(
        "readback",
        "bootsmith.tasks.inspection.readback:run",
        {"disk": raw_disk(recipe, site), **verdicts},
        {"verdicts": site.verdicts},
        expectation.expected(recipe).to_json(),
        (*tools, *((lz4.LIBRARY,) if any(each.fs == "erofs" for each in recipe.disk.partitions.values()) else ())),
        doc="whether the disk is what the recipe says",
    )
    return (*checks, whole)


def _verification(data: Partition, tree: Partition, site: Site) -> Stage:
    return Stage(
        f"readback/{tree.name}",
        "bootsmith.tasks.inspection.readback:check_tree",
        {
            "image": site.partition_image(data.name),
            "tree": site.partition_image(tree.name),
            "roothash": site.root_hash(tree.name),
        },
        {"verdict": site.verdict(tree.name)},
        doc=f"whether {data.name} is what its hash tree says",
    )


def _check(name: str, params: CheckParams, image: Path, verdict: Path) -> Stage:
    return Stage(
        f"readback/{name}",
        "bootsmith.tasks.inspection.readback:check",
        {"image": image},
        {"verdict": verdict},
        params.to_json(),
        (params.program,),
        doc=f"whether the filesystem of {name} is sound",
    )
