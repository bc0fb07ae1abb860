"""The kinds of single values: how each is read from text, written again, and described to editors and people."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.build.stage import Json
from bootsmith.tasks.recipe.text.nodes import Node, PathText, Raw, Table, Text
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems, Wrong, suggest
from bootsmith.tasks.recipe.values import units

FAILED: Any = object()
"""What reading returns for a value that is wrong; the reason is among the problems."""


class Type:
    """How values of one kind are read, written and described."""

    blank: Any = None
    """What stands in for a value that had to be given and was not, so that reading can go on."""
    said: str
    """The kind as the reference names it."""

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        """Return the value, or FAILED with the reason among the problems."""
        raise NotImplementedError

    def write(self, value: Any) -> Raw:
        """Return a value as a recipe would say it; None where saying nothing is the same."""
        raise NotImplementedError

    def is_said_by(self, table: Table) -> bool:  # noqa: ARG002
        """Tell whether a mapping is a value of this kind, rather than the section whose bare key has this kind."""
        return False

    def inline(self) -> dict[str, Json]:
        """Return the JSON Schema of the keys that such a mapping has; none by default."""
        return {}

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of what may be written."""
        raise NotImplementedError


class Scalar(Type):
    """A kind whose values are one text."""

    said = "STR"

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        if not isinstance(node, Text):
            todo = "put a text with a colon in quotes" if isinstance(node, Table) else f"write {self.said} alone"
            problems.add(node.place, path, f"this takes one value; {todo}")
            return FAILED
        try:
            return self.parse(node)
        except Wrong as wrong:
            problems.add(node.place, path, str(wrong))
            return FAILED

    def parse(self, said: Text) -> Any:
        """Return the value of a text. Raises Wrong."""
        raise NotImplementedError

    def write(self, value: Any) -> Raw:
        return str(value)

    def schema(self) -> dict[str, Json]:
        return {"anyOf": [self.literal(), {"$ref": "#/$defs/variable"}]}

    def literal(self) -> dict[str, Json]:
        """Return the JSON Schema of a value without variables."""
        return {"type": ["string", "number", "boolean"]}


def _matching(pattern: str) -> dict[str, Json]:
    """Return the schema of a text that matches; where digits do, it is a number to an editor."""
    digits = re.fullmatch(pattern, "10") or re.fullmatch(pattern, "1.1")
    return {"type": ["string", "number"] if digits else "string", "pattern": f"^(?:{pattern})$"}


class Str(Scalar):
    """Text, of one line unless `lines`. All of it must match `pattern`, which makes it `what`; `todo` says how."""

    blank = ""

    def __init__(
        self, said: str = "STR", pattern: str = "", what: str = "", todo: str = "", *, lines: bool = False
    ) -> None:
        self.said, self._pattern, self._what, self._todo, self._lines = said, pattern, what, todo, lines
        self._match = re.compile(pattern, re.ASCII).fullmatch if pattern else None

    def parse(self, said: Text) -> Any:
        text = said.text
        if not self._lines and any(end in text for end in "\n\r\x85\u2028\u2029"):
            raise Wrong("this must be one line", "write it on one line, or fold it with >-")
        if self._match and not self._match(text):
            raise Wrong(f"{text!r} is not {self._what}", self._todo)
        return text

    @property
    def appends(self) -> bool:
        """Whether `key+` may add to the text, after a blank."""
        return not self._pattern and not self._lines

    def literal(self) -> dict[str, Json]:
        if self._pattern:
            return _matching(self._pattern)
        return super().literal()


class Parsed(Str):
    """Text that `reader` turns into something else, or finds Wrong; `writer` is its inverse."""

    def __init__(
        self,
        said: str,
        reader: Callable[[str], Any],
        writer: Callable[[Any], Raw] = str,
        pattern: str = "",
        blank: Any = "",
    ) -> None:
        super().__init__(said)
        self._reader, self._writer, self.blank = reader, writer, blank
        self._schema = pattern

    def parse(self, said: Text) -> Any:
        return self._reader(super().parse(said))

    def write(self, value: Any) -> Raw:
        return self._writer(value)

    def literal(self) -> dict[str, Json]:
        return _matching(self._schema) if self._schema else super().literal()


class Number(Scalar):
    """A whole number, in the words of its unit and within bounds."""

    blank = 0

    def __init__(
        self,
        said: str,
        reader: Callable[[str], int],
        writer: Callable[[int], Raw],
        pattern: str,
        *,
        at_least: int = 0,
        at_most: int,
        multiple: int = 1,
    ) -> None:
        self.said, self._reader, self._writer, self._pattern = said, reader, writer, pattern
        self._at_least, self._at_most, self._multiple = at_least, at_most, multiple

    def parse(self, said: Text) -> int:
        value = self._reader(said.text)
        if value < self._at_least:
            raise Wrong(f"{said.text} is too small", f"write at least {self._writer(self._at_least)}")
        if value > self._at_most:
            raise Wrong(f"{said.text} is too large", f"write at most {self._writer(self._at_most)}")
        if value % self._multiple:
            unit = self._writer(self._multiple)
            above = self._writer(-(-value // self._multiple) * self._multiple)
            raise Wrong(f"{said.text} is not a multiple of {unit}", f"did you mean {above}?")
        return value

    def write(self, value: Any) -> Raw:
        return self._writer(value)

    def literal(self) -> dict[str, Json]:
        if self.said == "INT":  # editors read these two as numbers
            return {"type": "integer", "minimum": self._at_least, "maximum": self._at_most}
        return _matching(self._pattern)


def integer(at_least: int, at_most: int) -> Number:
    """Return the kind INT, within bounds."""
    return Number("INT", units.read_int, int, r"-?\d+", at_least=at_least, at_most=at_most)


def size(at_least: int = 1, multiple: int = units.SECTOR) -> Number:
    """Return the kind SIZE, up to 1024T."""
    return Number(
        "SIZE", units.read_size, units.show_size, units.SIZE, at_least=at_least, at_most=1 << 50, multiple=multiple
    )


def time() -> Number:
    """Return the kind TIME, from a second to a day."""
    return Number("TIME", units.read_time, units.show_time, units.TIME, at_least=1, at_most=86400)


def mode() -> Number:
    """Return the kind MODE."""
    return Number("MODE", units.read_mode, units.show_mode, units.MODE, at_most=0o7777)


class Bool(Scalar):
    """Only `true` and `false`."""

    said = "BOOL"
    blank = False

    def parse(self, said: Text) -> bool:
        return units.read_bool(said.text)

    def write(self, value: Any) -> Raw:
        return bool(value)

    def literal(self) -> dict[str, Json]:
        return {"type": "boolean"}


class Choice(Scalar):
    """One of a few words; or, where there is an `other`, a value of that kind. Of `refused` ones it is said why."""

    def __init__(
        self, *words: str, other: Scalar | None = None, refused: Mapping[str, tuple[str, str]] | None = None
    ) -> None:
        self._words, self._other, self._refused = words, other, refused or {}
        self.blank = words[0]
        self.said = "|".join([*words, *([other.said] if other else [])])

    def parse(self, said: Text) -> Any:
        if said.text in self._words:
            return said.text
        if said.text in self._refused:
            raise Wrong(*self._refused[said.text])
        if self._other is None:
            raise Wrong(f"{said.text!r} is not a choice", suggest(said.text, self._words))
        try:
            return self._other.parse(said)
        except Wrong as wrong:
            meant = nearest(said.text, self._words)
            todo = f"{wrong.todo}, or {' or '.join(self._words)}"
            if meant or wrong.todo.endswith("?"):
                todo = f"did you mean {meant}?" if meant else wrong.todo
            raise Wrong(wrong.what, todo) from wrong

    def write(self, value: Any) -> Raw:
        return value if value in self._words or self._other is None else self._other.write(value)

    def literal(self) -> dict[str, Json]:
        numbers = [float(word) for word in self._words if re.fullmatch(r"\d+\.\d+", word)]  # as editors read them
        words: dict[str, Json] = {"enum": [*self._words, *numbers]}
        return {"anyOf": [words, self._other.literal()]} if self._other else words


class FilePath(Scalar):
    """A PATH, relative to the file that writes it. `kind` is what must stand there now: "file", "directory", or ""."""

    said = "PATH"
    blank = Path()

    def __init__(self, kind: str = "") -> None:
        self._kind = kind

    def parse(self, said: Text) -> Path:
        text = said.text
        if not text or any(end in text for end in "\0\n\r"):
            raise Wrong("this is not a path", "write one, relative to the file it stands in")
        if text.startswith("~"):
            raise Wrong(f"{text}: ~ is not expanded", "write the path out")
        path = said.place.base / text
        if self._kind:
            self._look(path)
        return path

    def _look(self, path: Path) -> None:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            beside = sorted(each.name for each in path.parent.iterdir()) if path.parent.is_dir() else []
            meant = nearest(path.name, beside)
            todo = f"did you mean {meant}?" if meant else f"create that {self._kind}"
            raise Wrong(f"{shown(path)} does not exist", todo) from None
        except OSError as error:
            raise Wrong(f"{shown(path)} cannot be read: {error.strerror}", f"name a {self._kind}") from error
        if not (stat.S_ISDIR(mode) if self._kind == "directory" else stat.S_ISREG(mode)):
            raise Wrong(f"{shown(path)} is not a {self._kind}", f"name a {self._kind}")

    def write(self, value: Any) -> Raw:
        return PathText(value)

    def literal(self) -> dict[str, Json]:
        return {"type": "string", "minLength": 1}
