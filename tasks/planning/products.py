"""What a plan's stages come to: the disk, what boots without one, and words for what was asked for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.planning.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.stage import Stage

DISK = "assemble"
"""The stage that makes the raw disk."""
READBACK = "readback"
"""The stage that reads it back."""
CD = "convert/iso"
"""The stage that makes a recipe's first CD."""


def complete(plan: Plan) -> Plan:
    """Return a plan that tells its products, and what `image` and `raw` stand for."""
    finals = tuple(stage.name for stage in plan.finals())
    raw = tuple(stage.name for stage in plan.stages if stage.name == DISK)
    wanted = {*finals, *raw, *(stage.name for stage in direct(plan))}
    made = tuple(stage.name for stage in plan.stages if stage.name in wanted)
    of_disk = any(_of_disk(plan, stage) for stage in plan.finals())  # else nobody asked for a disk
    checked = tuple(stage.name for stage in plan.stages if of_disk and stage.name == READBACK)
    return plan._replace(products=made, aliases={"image": (*finals, *checked), "raw": raw})


def direct(plan: Plan) -> tuple[Stage, ...]:
    """Return the stages that make what boots without a disk's loader: kernels and initrds."""
    site = Site.of(plan)

    def boots(path: Path) -> bool:
        return path in (site.kernel, site.initrd) or path.is_relative_to(site.entries)

    return tuple(stage for stage in plan.stages if any(map(boots, stage.outputs.values())))


def cd(plan: Plan) -> Stage | None:
    """Return the stage of a CD, where the recipe keeps no disk."""
    kept = [stage for stage in plan.finals() if not _of_disk(plan, stage)]
    alone = len(kept) == len(plan.finals())
    return next((stage for stage in kept if alone and stage.name == CD), None)


def _of_disk(plan: Plan, stage: Stage) -> bool:
    """Tell whether a stage makes the raw disk, or what it makes is made of it."""
    raw = {path for each in plan.stages if each.name == DISK for path in each.outputs.values()}
    return bool(raw.intersection((*stage.inputs.values(), *stage.outputs.values())))


def encrypted(plan: Plan) -> Stage | None:
    """Return the stage of an encrypted image, where the recipe keeps no other disk than such."""
    disks = [each for each in plan.finals() if _of_disk(plan, each)]
    return disks[0] if disks and all(each.secrets for each in disks) else None
