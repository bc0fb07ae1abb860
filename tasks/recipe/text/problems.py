"""The mistakes found in recipes so far: collected while reading goes on, told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from bootsmith.cache.display import nearest
from bootsmith.tasks.errors import RecipeError

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.text.nodes import Place

KeyPath: TypeAlias = "tuple[str | int, ...]"
"""A key by its path from the top; numbers are positions in lists, and are not shown."""

Finding: TypeAlias = tuple[KeyPath, str]
"""A key that is wrong, and `what is wrong; what to do`."""


class Wrong(ValueError):
    """A value cannot be what is wanted: `what` is wrong with it, and what `todo` about it."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}; {todo}")
        self.what, self.todo = what, todo


class Problems:
    """`failed` are the paths whose values cannot be trusted; `missing` the variables that only need to be given.

    `partial` is set where a parent could not be read: then what is not there may well be in it. `notes` are no
    mistakes, but choices that were made.
    """

    def __init__(self) -> None:
        self.failed: set[KeyPath] = set()
        self.missing: list[str] = []
        self.partial = False
        self.notes: list[str] = []
        self._found: dict[str, tuple[str, int, int]] = {}
        self._missing_lines: set[str] = set()
        self._lost: set[KeyPath] = set()

    def __len__(self) -> int:
        return len(self._found)

    @property
    def only_missing(self) -> bool:
        """Whether the recipe is sound but for variables that were not given."""
        return self._found.keys() == self._missing_lines

    def add(self, place: Place, path: KeyPath, what: str) -> None:
        """Note a mistake: `what` reads "what is wrong; what to do". Only the first one about a key is kept."""
        if (path in self.failed and path) or any(path[: length + 1] in self._lost for length in range(len(path))):
            return
        key = dotted(path)
        text = f"{place}: {key}: {what}" if key else f"{place}: {what}"
        self._found.setdefault(text, (place.file, place.line, place.column))
        self.failed.add(path)

    def note(self, path: KeyPath, what: str) -> None:
        """Note what was chosen for a key."""
        self.notes.append(f"{dotted(path)}: {what}")

    def lose(self, path: KeyPath) -> None:
        """Note that a value is not known, for a reason told elsewhere: nothing more is said about it."""
        self.failed.add(path)
        self._lost.add(path)

    def lack(self, place: Place, name: str, what: str) -> None:
        """Note a variable that was not given."""
        known = set(self._found)
        self.add(place, ("vars", name), what)
        self.missing.append(name)
        self._missing_lines |= self._found.keys() - known

    def adopt(self, other: Problems) -> None:
        """Note another reading's mistakes too, but for variables it was not given."""
        for text, place in other._found.items():
            if text not in other._missing_lines:
                self._found.setdefault(text, place)

    def trusted(self, *paths: KeyPath) -> bool:
        """Tell whether nothing at, above or below these paths is wrong."""
        return not self.partial and not any(
            bad[: len(path)] == path[: len(bad)] for bad in self.failed for path in paths
        )

    def lines(self) -> list[str]:
        """Return the mistakes, one line each, in the order of the files."""
        return sorted(self._found, key=lambda text: (*self._found[text], text))

    def raise_if_any(self) -> None:
        """Raise RecipeError if there are mistakes."""
        if self._found:
            raise RecipeError(self.lines(), self.missing if self.only_missing else ())


def dotted(path: KeyPath) -> str:
    """Return a path as the user writes it: `disk.partitions.esp.size`."""
    return ".".join(step for step in path if isinstance(step, str))


def suggest(word: str, known: Sequence[str]) -> str:
    """Return what to do about an unknown word: "did you mean ...?", or the words there are."""
    found = nearest(word, known)
    if found:
        return f"did you mean {found}?"
    if not known:
        return "there is none here"
    return f"known here: {', '.join(known)}" if len(known) > 1 else f"only {known[0]} is known here"
