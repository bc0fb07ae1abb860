"""A look at all that a stage's key is told from: what its trees hold, and whether anything was written since."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bootsmith.cache.digest.stats import Stats
from bootsmith.cache.files import clock
from bootsmith.tasks.build.stage import Stage

if TYPE_CHECKING:
    from bootsmith.cache.digest.tree import TreeLook

RECENT = 1.0  # seconds


class Look:
    """What was seen: `trees` has the looks at inputs that are trees, by role, where they are `listed`."""

    def __init__(self, *, listed: bool = True) -> None:
        self.listed = listed
        self.parts: dict[str, Any] = {}
        """The parts of the key that it gave; none before it was taken, or where something was missing."""
        self._taken = 0.0
        self.trees: dict[str, TreeLook] = {}
        self._stats: dict[str, Stats] = {}

    def take(self, parts: dict[str, Any]) -> None:
        """Note what it gave, when all was looked at."""
        self.parts, self._taken = parts, time.monotonic()

    def is_recent(self) -> bool:
        """Tell whether it is of just now: one would have to be quick to edit something before it is used."""
        return bool(self.parts) and time.monotonic() - self._taken < RECENT

    def stats(self, of: str) -> Stats:
        """Return what takes in the stats of a part of the key, called as `keys.diff` calls it."""
        return self._stats.setdefault(of, Stats())

    def settle(self, stage: Stage, made: Collection[Path]) -> None:
        """Wait until whatever is written to what was seen shows; only stages write to what they have `made`."""
        own = {f"input {role}" for role, path in stage.inputs.items() if path in made}
        clock.rest_until(max((stats.marked for of, stats in self._stats.items() if of not in own), default=0))

    def diff(self, later: Look) -> list[str]:
        """Tell what was written to between this look and a later one, though it may hold what it held."""
        return [f"{of} was written to" for of, stats in self._stats.items() if later.stats(of).digest != stats.digest]
