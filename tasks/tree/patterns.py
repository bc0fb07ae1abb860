"""Glob patterns over paths in a tree: `*`, `?` and `[...]` stay within a name, `**` crosses directories."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError


def path_matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a pattern matches a path, both from the tree's top; leading slashes do not count.

    Raises StageError for what is no pattern.
    """
    steps = [step for step in pattern.split("/") if step]
    text = ""
    for step in steps[:-1]:
        text += "(?:.*/)?" if step == "**" else f"{_name(step)}/"
    for step in steps[-1:]:
        text += ".+" if step == "**" else _name(step)
    try:
        found = re.compile(text, re.DOTALL)
    except re.error as error:
        raise StageError(
            f"{shown(pattern)} is no pattern", "Write what is in [...] from the lower sign to the upper."
        ) from error
    return lambda path: found.fullmatch(path) is not None


def excluder(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a path in a folder is left out.

    A pattern with a slash is matched against the whole path, one without against the name, wherever it lies.
    """
    kept = [pattern.rstrip("/") for pattern in patterns]
    names = [path_matcher(pattern) for pattern in kept if "/" not in pattern]
    paths = [path_matcher(pattern) for pattern in kept if "/" in pattern]

    def excluded(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(matches(name) for matches in names) or any(matches(path) for matches in paths)

    return excluded


def has_wildcard(pattern: str) -> bool:
    """Tell whether a pattern can match other names than its own."""
    return any(sign in pattern for sign in "*?[")


def _name(step: str) -> str:
    """Return the regular expression for a pattern of one name."""
    text = ""
    position = 0
    while position < len(step):
        sign = step[position]
        position += 1
        if sign == "*":
            text += "[^/]*"
        elif sign == "?":
            text += "[^/]"
        elif sign == "[" and (end := step.find("]", position + 1 + (step[position : position + 1] == "!"))) > 0:
            inner = re.sub(r"[\\^\[&~|]", r"\\\g<0>", step[position:end])
            text += f"(?!/)[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
            position = end + 1
        else:
            text += re.escape(sign)
    return text
