"""What is judged by a check, and what a check says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.inspection.boot_entries import Found
from bootsmith.tasks.inspection.expectation import Expected
from bootsmith.tasks.inspection.system_tree import SystemTree
from bootsmith.tasks.inspection.volumes import Image


class Verdict(NamedTuple):
    """What one check came to: `wrong` is empty where all is well; `about` tells what it saw, or why it was not made."""

    check: str
    about: str
    wrong: tuple[str, ...] = ()
    made: bool = True


class Complaint(NamedTuple):
    """What a filesystem's own program says of a damaged one."""

    program: str
    words: str


Checker = Callable[[Image, Part], Complaint | None]
"""Has a filesystem's own program look at a partition: what is wrong, None where nothing is."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An image to be judged, by what it is `expected` to be where that is known.

    `tree` is the system on it, None where there is none; `problems` are those of its table. Of its `entries`, those of
    `others` stand in menus that none of the recipe's loaders reads. `every_block` says whether the data of a hash tree
    are looked at, too.
    """

    image: Image
    problems: tuple[str, ...]
    expected: Expected | None
    tree: SystemTree | None
    entries: tuple[Found, ...]
    others: tuple[Found, ...]
    checker: Checker
    every_block: bool


class NotMade(Exception):
    """A check has nothing to look at; its text says why."""


Check = Callable[[Subject], Iterator[str]]
"""Yields what it looked at, then what is wrong: lines that begin with "!". Raises NotMade, StageError, UsageError."""
