"""One doit command line as bootsmith reads it: command, options, words, variables, positional tail.

doit takes every argument that holds `=` and does not begin with `-` for a variable, wherever it stands. Here such a
word is a variable only until a task that takes positional arguments is named: what follows belongs to that task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from bootsmith.tasks.errors import UsageError

RESERVED = ("recipe", "profile", "at")

Parse = Callable[[str, list[str]], tuple[Mapping[str, Any], list[str]]]


class Invocation(NamedTuple):
    """What was asked for. `words` are the task names and what follows them; `tail` what follows a positional task."""

    command: str
    options: Mapping[str, Any]
    words: tuple[str, ...]
    variables: Mapping[str, str]
    tail: tuple[str, ...] = ()
    reserved: Mapping[str, str] = MappingProxyType({})

    @property
    def runs(self) -> bool:
        """Whether tasks are executed, not only looked at."""
        return self.command == "run"


def read(argv: Sequence[str], *, commands: Collection[str], positional: Collection[str], parse: Parse) -> Invocation:
    """Return the meaning of doit's `argv` (without the program's name).

    `positional` are the base names of the tasks that take positional arguments; `parse` splits a command's own
    options from its words. Raises UsageError on a repeated variable.
    """
    plain: list[str] = []
    tail: list[str] = []
    found: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") and "=" in word:
            name, _, value = word.partition("=")
            if name in found:
                raise UsageError(f"{name} is given twice: {found[name]!r} and {value!r}", "Give it once.")
            found[name] = value
            continue
        plain.append(word)
        if word.partition(":")[0] in positional:
            tail = rest
            break
    command = "run"
    if plain and plain[0] in commands:
        command = plain.pop(0)
    options, words = parse(command, [*plain, *(word for word in tail if word.startswith("-") or "=" not in word)])
    return Invocation(
        command,
        options,
        tuple(words),
        {name: value for name, value in found.items() if name not in RESERVED},
        tuple(tail),
        {name: value for name, value in found.items() if name in RESERVED},
    )


def nearest(word: str, known: Collection[str]) -> str:
    """Return a sentence naming what `word` may have meant, or where to look."""
    import difflib

    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(near)}?" if near else "`doit list` shows what there is."
