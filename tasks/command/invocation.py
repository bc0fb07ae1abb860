"""One doit command line as bootsmith reads it: command, options, words, variables, positional tail.

doit takes every argument that holds `=` and does not begin with `-` for a variable, wherever it stands. Here such a
word is a variable only until a task that takes positional arguments is named: what follows belongs to that task, whose
options may stand among its words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from bootsmith.tasks.errors import UsageError

RESERVED = ("recipe", "profile", "at")

Parse = Callable[[str, list[str]], tuple[Mapping[str, Any], list[str]]]


class Invocation(NamedTuple):
    """What was asked for. `words` are the task names and their options; `tail` is what follows `taker`.

    That is the last of the words, where it is a task that takes words of its own.
    """

    command: str
    options: Mapping[str, Any]
    words: tuple[str, ...]
    variables: Mapping[str, str]
    tail: tuple[str, ...] = ()
    reserved: Mapping[str, str] = MappingProxyType({})
    taker: str = ""

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
    taker = ""
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") and "=" in word:
            name, _, value = word.partition("=")
            if name in found:
                raise UsageError(f"{name} is given twice: {found[name]!r} and {value!r}", "Give it once.")
            found[name] = _from_home(value)
            continue
        plain.append(word)
        if word.partition(":")[0] in positional:
            taker, tail = word, rest
            break
    command = "run"
    if plain and plain[0] in commands:
        command = plain.pop(0)
    options, words = parse(command, plain)
    return Invocation(
        command,
        options,
        tuple(words),
        {name: value for name, value in found.items() if name not in RESERVED},
        tuple(tail),
        {name: value for name, value in found.items() if name in RESERVED},
        taker,
    )


def help_first(argv: Sequence[str], known: Collection[str], relaying: Collection[str]) -> list[str]:
    """Return a command line as doit takes it, where a `-h` or `--help` in it asks about its first task or command.

    Words that a task not `known` is followed by, or one of `relaying`, are somebody else's.
    """
    variables: list[str] = []
    named = ""
    for word in argv:
        if word in ("-h", "--help"):
            return ["help", *variables, *([named] if named else [])]
        if word == "--" or (not word.startswith("-") and _base(named) in relaying):
            break
        if not word.startswith("-") and "=" in word:
            variables.append(word)
        elif not word.startswith("-") and not named:
            if _base(word) not in known:
                break
            named = word
    return list(argv)


def verbose_first(argv: Sequence[str]) -> list[str]:
    """Return a command line as doit takes it, where it begins with a `-v` or `--verbose` that names no number."""
    words = list(argv)
    if words[:1] == ["--verbose"] or (words[:1] == ["-v"] and words[1:2] not in (["0"], ["1"], ["2"])):
        return ["-v", "2", *words[1:]]
    return words


def _base(task: str) -> str:
    """Return the name of a task, or of the group that it is part of, without its recipe's."""
    return task.partition(":")[0].partition("/")[0]


def options(
    task: str, params: Iterable[Mapping[str, Any]], words: Sequence[str], *, mixed: bool = False
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options that a task was given, and the words that follow them.

    `params` are as `table.option` makes them. With `mixed` they may stand behind words too, until a `--`; else the
    first word ends them. Raises UsageError, for an unknown one with near names.
    """
    import getopt

    from bootsmith.cache.display import alike

    names = {f"--{each['long']}": each for each in params}
    names |= {f"-{each['short']}": each for each in names.values() if each["short"]}
    known = [(name, each["type"] is not bool) for name, each in names.items()]
    short = "".join(f"{name[1:]}{':' * valued}" for name, valued in known if not name.startswith("--"))
    long = [f"{name[2:]}{'=' * valued}" for name, valued in known if name.startswith("--")]
    try:
        given, rest = (getopt.gnu_getopt if mixed else getopt.getopt)(list(words), short, long)
    except getopt.GetoptError as error:
        near = alike(error.opt, [name[2:] for name in names]) if "not recognized" in error.msg else []
        asked = f"Did you mean {' or '.join(f'--{each}' for each in near)}?"
        hint = asked if near else f"`doit help {task}` shows its options."
        raise UsageError(f"{task}: {error.msg}", hint) from None
    found = {each["name"]: each["default"] for each in names.values()}
    found |= {names[name]["name"]: names[name]["type"] is bool or text for name, text in given}
    return found, tuple(rest)


def _from_home(value: str) -> str:
    """Return a value as bash would hand it over: most shells expand no `~` behind an `=`, bash none behind a dot."""
    home = os.environ.get("HOME")
    return f"{home}{value[1:]}" if home and value.startswith("~/") else value


def meant(word: str, known: Collection[str]) -> str:
    """Return a sentence naming what `word` may have meant, or where to look."""
    from bootsmith.cache.display import alike

    near = alike(word, known)
    return f"Did you mean {' or '.join(near)}?" if near else "`doit list` shows what there is."
