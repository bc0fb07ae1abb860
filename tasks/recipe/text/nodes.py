"""What a recipe file says, value by value, each with the place that says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

Raw: TypeAlias = "bool | int | str | Sequence[Raw] | Mapping[str, Raw] | None"
"""A value as one would write it in Python: for defaults, and for what `show` prints."""


class PathText(str):
    """A path among written values: `show` says it relative to the recipe."""

    __slots__ = ()


NULLS = ("", "~", "null", "Null", "NULL")
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file as the user names it, 1-based; on the command line there is only line 0.

    `base` is the folder that relative paths written here start from.
    """

    file: str
    line: int
    column: int
    base: Path

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar, always as written: `no`, `0755` and `1.10` are what they look like."""

    text: str
    plain: bool  # not in quotes: only then can it be null
    place: Place
    given: bool = False  # on the command line, though as a variable it may stand somewhere else

    @property
    def null(self) -> bool:
        return self.plain and self.text in NULLS


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's value, and where the key stands."""

    place: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping. `place` is the key it belongs to, where it has one: that is what a reader looks for."""

    entries: Mapping[str, Entry]
    place: Place

    def get(self, *keys: str) -> Node | None:
        """Return the value below `keys`, or None where it is not written."""
        node: Node = self
        for key in keys:
            if not isinstance(node, Table) or key not in node.entries:
                return None
            node = node.entries[key].value
        return node


Node: TypeAlias = Text | Items | Table


def is_null(node: Node) -> bool:
    """Tell whether a value stands for "back to default"."""
    return isinstance(node, Text) and node.null


def same(one: Node, other: Node) -> bool:
    """Tell whether two values say the same, wherever they say it."""
    match one, other:
        case Text(), Text():
            return one.text == other.text and one.null == other.null
        case Items(), Items():
            return len(one.items) == len(other.items) and all(map(same, one.items, other.items))
        case Table(), Table():
            return list(one.entries) == list(other.entries) and all(
                same(each.value, other.entries[key].value) for key, each in one.entries.items()
            )
    return False


def node(raw: Raw, place: Place) -> Node:
    """Return a Python value as if it were written at `place`."""
    match raw:
        case None:
            return Text("null", plain=True, place=place)
        case bool():
            return Text(str(raw).lower(), plain=True, place=place)
        case int() | str():
            return Text(str(raw), plain=False, place=place)
        case Mapping():
            return Table({key: Entry(place, node(each, place)) for key, each in raw.items()}, place)
        case _:
            return Items(tuple(node(each, place) for each in raw), place)


def locate(root: Node, path: Sequence[str | int]) -> Place:
    """Return where the value at `path` is written; where it is not, the nearest thing written around it."""
    at = root
    for step in path:
        if isinstance(at, Table) and step in at.entries:
            at = at.entries[str(step)].value
        elif isinstance(at, Items) and isinstance(step, int) and step < len(at.items):
            at = at.items[step]
        else:
            break
    return at.place
