"""Variables: `${name}` in any value, of a recipe's `vars:`, the command line, or what every recipe has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bootsmith.tasks.recipe.text.nodes import Entry, Items, Node, Place, Table, Text, is_null, node
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems, suggest

PREDEFINED = ("name", "version", "arch", "suite")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MARK = re.compile(r"\$\$|\$\{([^{}$\n]*)\}|\$\{")


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable of `vars:`. `default` None means it must be given; a default may be null."""

    place: Place
    default: Text | None = None
    help: str = ""
    choices: tuple[str, ...] = ()


def declare(tables: Iterable[Table], taken: Iterable[str], problems: Problems) -> dict[str, Declared]:
    """Return what the `vars:` of parents and children declare together; `taken` names mean something else already."""
    found: dict[str, Declared] = {}
    for table in tables:
        for name, entry in table.entries.items():
            path = ("vars", name)
            if not _NAME.fullmatch(name):
                problems.add(entry.place, path, f"{name!r} is not a name; use letters, digits and _")
            elif name in PREDEFINED or name in taken:
                problems.add(entry.place, path, f"{name} already means something else; take another name")
            found[name] = _declare(found.get(name, Declared(entry.place)), entry, path, problems)
    return found


def _declare(before: Declared, entry: Entry, path: KeyPath, problems: Problems) -> Declared:
    if isinstance(entry.value, Text):
        return replace(before, default=entry.value)
    if not isinstance(entry.value, Table):
        problems.add(entry.place, path, "a variable is one text; write its default, or {default:, help:, choices:}")
        return before
    for key, (place, value) in ((key, (each.place, each.value)) for key, each in entry.value.entries.items()):
        match key, value:
            case "default", Text():
                before = replace(before, default=value)
            case "help", Text():
                before = replace(before, help=value.text)
            case "choices", Items() if all(isinstance(each, Text) for each in value.items):
                before = replace(before, choices=tuple(each.text for each in value.items if isinstance(each, Text)))
            case (("default" | "help"), _):
                problems.add(place, (*path, key), "this takes one text; write it alone")
            case "choices", _:
                problems.add(place, (*path, key), "this takes a list of texts; write it in []")
            case _:
                problems.add(place, (*path, key), f"unknown key; {suggest(key, ['default', 'help', 'choices'])}")
    return before


class Variables:
    """The values of variables, found when they are asked for: they may speak of each other, but not in circles."""

    def __init__(
        self,
        declared: Mapping[str, Declared],
        given: Mapping[str, Text],
        predefined: Mapping[str, Text],
        problems: Problems,
    ) -> None:
        self._declared, self._given, self._predefined, self._problems = declared, given, predefined, problems
        self._known: dict[str, Text | None] = {}
        self._open: list[str] = []

    def settle(self) -> None:
        """Note every declared variable that was not given, or given what it cannot be."""
        for name, each in self._declared.items():
            self._value(name, each.place, ("vars", name))

    def expand(self, value: Node, path: KeyPath = ()) -> Node:
        """Return a value with the variables in it filled in."""
        match value:
            case Text():
                return self._text(value, path)
            case Items():
                return replace(
                    value, items=tuple(self.expand(each, (*path, number)) for number, each in enumerate(value.items))
                )
            case Table():
                entries = {
                    key: Entry(each.place, self.expand(each.value, (*path, key))) for key, each in value.entries.items()
                }
                return replace(value, entries=entries)

    def _text(self, text: Text, path: KeyPath) -> Text:
        if "$" not in text.text:
            return text
        whole = _MARK.fullmatch(text.text)
        if whole and whole[1] is not None:
            value = self._value(whole[1], text.place, path)
            return replace(value, place=replace(text.place, base=value.place.base)) if value else text
        base = text.place.base

        def fill(found: re.Match[str]) -> str:
            nonlocal base
            if found[0] == "$$":
                return "$"
            if found[1] is None:
                self._fail(text.place, path, "${ is never closed; write ${name}, or $${ for the text itself")
                return ""
            value = self._value(found[1], text.place, path)
            if value is None:
                return ""
            if value.null:
                todo = f"give it a value: {found[1]}=VALUE"
                self._fail(text.place, path, f"the variable {found[1]} is null inside a text; {todo}")
            if found.start() == 0:
                base = value.place.base
            return value.text

        return Text(_MARK.sub(fill, text.text), plain=False, place=replace(text.place, base=base))

    def _value(self, name: str, place: Place, path: KeyPath) -> Text | None:
        """Return a variable's value; None, and the path no more to be trusted, where it has none."""
        if name in self._open:
            circle = " -> ".join([*self._open[self._open.index(name) :], name])
            self._fail(place, path, f"variables in a circle: {circle}; give one of them a value of its own")
            return None
        if name not in self._declared and name not in self._predefined:
            what = f"there is no variable {name!r} (the text itself is written $${{{name}}})"
            self._fail(place, path, f"{what}; {suggest(name, [*self._declared, *self._predefined])}")
            return None
        if name not in self._known:
            self._open.append(name)
            self._known[name] = self._find(name)
            self._open.pop()
        if self._known[name] is None:
            self._problems.lose(path)
        return self._known[name]

    def _fail(self, place: Place, path: KeyPath, what: str) -> None:
        self._problems.add(place, path, what)
        self._problems.lose(path)

    def _find(self, name: str) -> Text | None:
        """Return the value of a variable there is; None, with the reason noted, where it was not given a good one."""
        declared = self._declared.get(name)
        if declared is None:
            return self._text(self._predefined[name], (name,))
        value = self._given.get(name, declared.default)
        if value is None:
            about = f" ({declared.help})" if declared.help else ""
            what = f"this variable must be given{about}; add {name}=VALUE to the command"
            self._problems.lack(declared.place, name, what)
            return None
        value = self._text(value, ("vars", name))
        if ("vars", name) in self._problems.failed:
            return None
        if declared.choices and value.text not in declared.choices:
            todo = suggest(value.text, declared.choices)
            self._problems.add(value.place, ("vars", name), f"{value.text!r} is not a choice of {name}; {todo}")
            return None
        return value


def predefined(tree: Table, stem: str) -> dict[str, Text]:
    """Return the variables every recipe has, as its tree says them."""
    found = {}
    paths = {"name": ("name",), "version": ("version",), "arch": ("arch",), "suite": ("source", "debian", "suite")}
    usual = {"name": stem, "version": "0", "arch": "amd64"}
    for name, path in paths.items():
        value = tree.get(*path)
        if isinstance(value, Text) and not is_null(value):
            found[name] = value
        elif name in usual:
            default = node(usual[name], tree.place)
            assert isinstance(default, Text), "text in, text out"
            found[name] = default
    return found
