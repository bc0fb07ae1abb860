"""Whether a stage has room for its work, asked before it begins: for what it took the last time, never for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks import workshop
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.progress import human
from bootsmith.tasks.reason import shown

if TYPE_CHECKING:
    from bootsmith.tasks.builder import Builder
    from bootsmith.tasks.stage import Stage

HOLES = 8  # a restored file may have holes where zeros had been written: an eighth of it is not counted


def shortage(builder: Builder, stage: Stage, *, restored: bool) -> StageError | None:
    """Return what to say of a stage that will not have room, or None: where nothing is known of it, it may try."""
    cost = builder.cost(stage)
    if cost is None:
        return None
    build, store = builder.plan.site.build, builder.ledger.root
    here, there = cost.space, cost.kept
    if restored:
        here, there = here - here // HOLES, 0
    if stage.carry is not None:
        path = stage.outputs[stage.carry]
        here -= path.stat().st_blocks * 512 if path.is_file() else 0  # it is patched: only what is new needs room
    if not stage.stored or any(builder.ledger.store.has(each) for each in cost.outputs):
        there = 0  # it shares who knows how much with the version before
    device = [workshop.existing(each).stat().st_dev for each in (build, store)]
    needs = [(build, here + there)] if device[0] == device[1] else [(build, here), (store, there)]
    for place, need in needs:
        free = workshop.free(place)
        if need > free:
            return StageError(
                f"{stage.name} needs about {human(need)}, {human(free)} free in {shown(workshop.existing(place))}",
                "Make room there, or let BOOTSMITH_CACHE name a directory on a larger disk; nothing was begun, and "
                "nothing finished is lost.",
            )
    return None
