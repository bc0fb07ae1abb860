"""The stages `recipe/NAME/...`: those of another recipe that make what this one takes of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import OTHERS

if TYPE_CHECKING:
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.build.stage import Stage


def stages(other: Plan, takers: Iterable[Stage]) -> list[Stage]:
    """Return the stages of another recipe's plan that the `takers` rest on, under names of their own."""
    wanted = {path for stage in takers for path in stage.inputs.values()}
    makers = [stage.name for stage in other.stages if wanted.intersection(stage.outputs.values())]
    return [each._replace(name=f"{OTHERS}{other.name}/{each.name}") for each in other.needed(makers)]
