"""Whether a stage has room for its work, asked before it begins.

For what is restored that is known. For what is built it is what it took the last time, a guess: who knows better, since
the recipe has shrunk, lets it try.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import human, shown
from bootsmith.tasks.errors import BootsmithError, StageError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.cost import Cost
    from bootsmith.tasks.build.stage import Stage

TRY: Final = "BOOTSMITH_SPACE"
"""The variable that says `try`: where room is found to lack, begin all the same."""
HOLES = 8  # a restored file may have holes where zeros had been written: an eighth of it is not counted


def shortage(stage: Stage, cost: Cost, build: Path, store: Store, *, key: str | None) -> BootsmithError | None:
    """Return what to say of a stage that will not have room, or None.

    `build` is the folder it is built in, `key` that of what is to be restored, None where it is to be built.
    """
    here, there = cost.space, cost.kept
    if key is not None:
        here, there = min(here - here // HOLES, _weight(store, key)), 0
    if stage.carry is not None:
        path = stage.outputs[stage.carry]
        here -= path.stat().st_blocks * 512 if path.is_file() else 0  # it is patched: only what is new needs room
    if not stage.stored or any(store.has(each) for each in cost.outputs):
        there = 0  # it shares who knows how much with the version before
    device = [existing(each).stat().st_dev for each in (build, store.root)]
    needs = [(build, here + there)] if device[0] == device[1] else [(build, here), (store.root, there)]
    for place, need in needs:
        room = free(place)
        if need > room:
            return StageError(
                f"{stage.name} needs about {human(need)}, {human(room)} free in {shown(existing(place))}",
                "Make room there, or let BOOTSMITH_CACHE name a directory on a larger disk; nothing was begun, and "
                f"nothing finished is lost. So much it took the last time: if it needs less now, {TRY}=try begins.",
            )
    return None


def existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def free(path: Path) -> int:
    """Return the bytes that we may still write where `path` is, or will be."""
    status = os.statvfs(existing(path))
    return status.f_bavail * status.f_frsize


def may_try() -> bool:
    """Tell whether the user lets stages begin that seem to lack room. Raises UsageError for an unknown word."""
    word = os.environ.get(TRY, "")
    if word not in ("", "try"):
        raise UsageError(f"{TRY}={word} means nothing", f"Write {TRY}=try, or leave it out.")
    return bool(word)


def _weight(store: Store, key: str) -> int:
    """Return what the store's outputs for a key take at most."""
    found = [store.weight(output["hash"]) for output in (store.result(key) or {}).values()]
    return sum(each for each in found if each is not None)
