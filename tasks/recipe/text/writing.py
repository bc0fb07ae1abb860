"""Values as the YAML that says them, and reads back to the same. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bootsmith.tasks.recipe.text.nodes import NULLS, PathText, Raw

WIDTH = 100
_WORD = "[A-Za-z0-9/._+%s](?:[A-Za-z0-9/._+@%%=:-]*[A-Za-z0-9/._+@%%=-])?"
_PLAIN = re.compile(f"{_WORD % ''}(?: {_WORD % '@%=-'})*")


def block(raw: Raw, folder: Path, depth: int) -> Iterator[str]:
    """Yield the lines of a mapping or list, indented by `depth` blanks."""
    indent = " " * depth
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            line = flow(value, folder)
            head = f"{indent}{_text(key)}:"
            if (depth and len(head) + 1 + len(line) <= WIDTH) or not _has_items(value):
                yield f"{head} {line}"
            else:
                yield head
                yield from block(value, folder, depth + 2)
    elif isinstance(raw, Sequence) and not isinstance(raw, str):
        for value in raw:
            yield f"{indent}- {flow(value, folder)}"


def _has_items(raw: Raw) -> bool:
    return isinstance(raw, (Mapping, Sequence)) and not isinstance(raw, str) and bool(raw)


def flow(raw: Raw, folder: Path) -> str:
    """Return any value on one line, paths below `folder` relative to it."""
    match raw:
        case Mapping():
            return "{" + ", ".join(f"{_text(key)}: {flow(value, folder)}" for key, value in raw.items()) + "}"
        case str():
            path = Path(raw)
            inside = isinstance(raw, PathText) and path.is_relative_to(folder)
            return _text(str(path.relative_to(folder)) if inside else raw)
        case Sequence():
            return "[" + ", ".join(flow(value, folder) for value in raw) + "]"
    return "null" if raw is None else str(raw).lower()


def _text(text: str) -> str:
    """Return a text as a scalar that reads back the same: variables escaped, in quotes where it needs them."""
    if "${" in text or "$$" in text:
        text = text.replace("$", "$$")
    if _PLAIN.fullmatch(text) and text not in NULLS:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return letter if letter.isprintable() and letter != "\ufeff" else f"\\U{ord(letter):08x}"
