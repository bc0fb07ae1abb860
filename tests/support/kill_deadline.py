"""When to kill a process so that the kill comes in time, on however fast or busy a machine."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass
class Deadline:
    """Learns, from one process to the next, how long they live. `limit` is in seconds, at first a guess.

    A process that ended by itself shrinks the limit to 0.7 of it, one that was killed lets it grow to 1.1: it settles
    where four in five are killed. Were it two in three that end by themselves, the limit would lose a fifth each time
    (0.7 ** (2/3) * 1.1 ** (1/3)) and soon be shorter than any process's life: so more than a third are killed.
    `idle` is the share of a life, at its start, in which nothing happens that a kill could spoil.
    """

    limit: float
    chance: random.Random
    idle: float = 0.0
    killed: int = 0

    def draw(self) -> float:
        """Return how many seconds the next process may live."""
        return self.chance.uniform(self.idle * self.limit, self.limit)

    def note(self, *, killed: bool) -> None:
        """Learn from how a process ended that was given what `draw` returned."""
        self.killed += killed
        self.limit *= 1.1 if killed else 0.7
