"""What is judged by a check, and what a check says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bootsmith.tasks.disk.inspect import Inspection
from bootsmith.tasks.inspection.boot_entries import Found
from bootsmith.tasks.inspection.system_tree import SystemTree
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.recipe.model.recipe import Recipe


class Verdict(NamedTuple):
    """What one check came to: `wrong` is empty where all is well; `about` tells what it saw, or why it was not made."""

    check: str
    about: str
    wrong: tuple[str, ...] = ()
    made: bool = True


@dataclass(frozen=True, slots=True)
class Subject:
    """An image to be judged, by the recipe where there is one; `tree` is the system on it, None where there is none."""

    image: Image
    inspection: Inspection
    recipe: Recipe | None
    tree: SystemTree | None
    entries: tuple[Found, ...]


class NotMade(Exception):
    """A check has nothing to look at; its text says why."""


Check = Callable[[Subject], Iterator[str]]
"""Yields what it looked at, then what is wrong: lines that begin with "!". Raises NotMade, StageError, UsageError."""
