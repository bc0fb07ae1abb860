"""YAML text to nodes, by way of PyYAML's events.

Events, not `yaml.compose`: composing recurses in C without a bound (a hundred thousand brackets end the process), and
reads aliases, tags and plain words in ways a recipe must not.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import yaml
from bootsmith.cache.display import shown
from bootsmith.tasks.recipe.text.nodes import COMMAND_LINE, Entry, Items, Node, Place, Table, Text
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems

LARGEST = 1 << 20  # bytes: no recipe is that long, and /dev/zero is longer
DEEPEST = 40
TOO_DEEP = f"nested more than {DEEPEST} deep; no recipe needs that"
BRACKETS = 512  # open at once, at which libyaml may stop before it has told of any: it does at 1,000 since 0.2.6
MOST = 20_000  # values, each alias counted as all it stands for

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Unreadable(Exception):
    """The text cannot be read any further; the reason is among the problems."""


def parse_file(path: Path, problems: Problems, asked: tuple[Place, KeyPath] | None = None) -> Table | None:
    """Return what a recipe file says, or None where it says nothing that can be read.

    `asked` is the key that names it, and where: a file that cannot be read is a mistake of that key.
    """
    start = Place(shown(path), 1, 1, path.parent)
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        reason = f"{_reason(error)}; give the path of a YAML file"
        if asked:
            problems.add(*asked, f"{start.file}: {reason}")
        else:
            problems.add(Place(start.file, 0, 0, path.parent), (), reason)
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = Place(start.file, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"), path.parent)
        problems.add(place, (), "this is not UTF-8; save the file as UTF-8")
        return None
    return parse_text(text, start, problems)


def _read(path: Path) -> bytes:
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise ValueError("this is a directory")
    if not stat.S_ISREG(kind):
        raise ValueError("this is not a regular file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("this is larger than 1 MiB, which no recipe is")
    return data


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such recipe"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def parse_text(text: str, start: Place, problems: Problems) -> Table | None:
    """Return the mapping a recipe's text holds, or None where it does not; the reason is among the problems."""
    root = _parse(text, start, problems)
    if root is None:
        return None
    if isinstance(root, Text) and root.null:
        problems.add(start, (), "the recipe is empty; write at least `source:`")
        return None
    if not isinstance(root, Table):
        problems.add(root.place, (), "a recipe is a mapping, `key: value` lines; write at least `source:`")
        return None
    return root


def parse_word(text: str, base: Path, path: KeyPath, problems: Problems) -> Node | None:
    """Return what a VALUE of the command line says in YAML, or None where it is not YAML."""
    place = Place(COMMAND_LINE, 0, 0, base)
    inner = Problems()
    found = _parse(text, place, inner)
    if found is None:
        reason = inner.lines()[0].removeprefix(f"{place}: ")
        problems.add(place, path, f"{text!r} is not YAML: {reason}")
    return found


def _parse(text: str, start: Place, problems: Problems) -> Node | None:
    bad = _UNPRINTABLE.search(text)
    if bad:
        place = _point(start, text.count("\n", 0, bad.start()), bad.start() - text.rfind("\n", 0, bad.start()) - 1)
        problems.add(place, (), f"the character U+{ord(bad[0]):04X} cannot stand in YAML; remove it")
        return None
    document = _Document(text, start, problems)
    try:
        return document.root()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        deep = document.too_deep(mark.index) if mark else None
        if deep is not None:
            problems.add(deep, (), TOO_DEEP)
        else:
            problems.add(_point(start, line, column), (), _explain(error, text, line, column))
    except Unreadable:
        pass
    return None


def _point(start: Place, line: int, column: int) -> Place:
    """Return the place at a line and column counted from zero; the command line has none."""
    return Place(start.file, line + 1, column + 1, start.base) if start.line else start


def _explain(error: yaml.MarkedYAMLError, text: str, line: int, column: int) -> str:
    """Return what YAML's parser found wrong, with what to do about the mistakes people make."""
    lines = text.splitlines()
    before, rest = (lines[line][:column], lines[line][column:]) if line < len(lines) else ("", "")
    problem, context, opened = (error.problem or "").strip(), error.context or "", error.context_mark
    what, todo = problem or "this is not YAML", "see how YAML wants it, or put the value in quotes"
    if rest.startswith("\t"):
        what, todo = "a tab cannot indent in YAML", "use spaces"
    elif rest[:1] in ("@", "`", "%", ">", "|"):
        what, todo = f"a value cannot begin with {rest[0]} here", "put it in quotes"
    elif "mapping values" in problem:
        what, todo = "a second `key:` on one line, or a line indented too far", "put a value that holds `: ` in quotes"
    elif "flow" in context and before.endswith("$"):
        what, todo = "inside {} and [] a variable needs quotes", 'write "${...}"'
    elif "flow node" in context or ("flow" in context and opened is None):
        what, todo = "a bracket is never closed", "close every [ and {"
    elif "flow" in context and opened:
        what = "a comma or a closing bracket is missing here"
        todo = f"close the bracket opened at line {opened.line + 1}, column {opened.column + 1}"
    elif "quoted scalar" in context and "end of stream" in problem and opened:
        what, todo = "a quote is never closed", f"close the one opened at line {opened.line + 1}"
    elif "expected ':'" in problem:
        what, todo = "a line without `key:`", "write `key: value`, or put a text with : or several lines in quotes"
    elif "block" in context:
        what, todo = "this line is no part of what stands above", "indent the lines of one mapping or list alike"
    return f"{what}; {todo}"


class _Document:
    """One pass over the events of a text."""

    def __init__(self, text: str, start: Place, problems: Problems) -> None:
        self.events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_Loader))
        self.text = text
        self.start = start
        self.problems = problems
        self.anchors: dict[str, tuple[Node | None, int]] = {}  # None while it is being read
        self.count = 0
        self.depth = 0  # of the value that is waited for
        self.told = 0  # characters that events told of

    def root(self) -> Node:
        self.next()  # the stream's start
        if isinstance(self.next(), yaml.StreamEndEvent):
            return Text("", plain=True, place=self.start)
        found = self.value(self.next(), 0)
        self.next()  # the document's end
        after = self.next()
        if not isinstance(after, yaml.StreamEndEvent):
            self.stop(after, "a second document begins here; one file is one recipe")
        return found

    def next(self, depth: int = 0) -> yaml.Event:
        """Return the next event, which may begin a value so deep."""
        self.depth = depth
        event = next(self.events)
        self.told = event.end_mark.index if event.end_mark else self.told
        return event

    def place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return _point(self.start, mark.line, mark.column) if mark else self.start

    def too_deep(self, end: int) -> Place | None:
        """Return where the text goes too deep, if its first `end` characters do by a run of brackets nobody told of.

        libyaml looks ahead for as long as a bracket may begin a key, and has a limit of its own.
        """
        opened: list[int] = []
        for found in re.finditer(r"[\[\]{}]", self.text[:end]):
            if found.start() < self.told:
                continue
            if found[0] in "[{":
                opened.append(found.start())
            elif opened:
                opened.pop()
        if len(opened) < BRACKETS:
            return None
        at = opened[max(DEEPEST + 1 - self.depth, 0)]
        return _point(self.start, self.text.count("\n", 0, at), at - self.text.rfind("\n", 0, at) - 1)

    def stop(self, event: yaml.Event, what: str) -> NoReturn:
        self.problems.add(self.place(event), (), what)
        raise Unreadable

    def value(self, event: yaml.Event, depth: int) -> Node:
        before = self.count
        self.count += 1
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        if depth > DEEPEST:
            self.stop(event, TOO_DEEP)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self.anchors[anchor] = (None, 0)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            self.problems.add(self.place(event), (), f"the tag {tag} means nothing here; remove it")
        found = self.content(event, depth)
        if anchor is not None:
            self.anchors[anchor] = (found, self.count - before)
        if self.count > MOST:
            self.stop(event, f"more than {MOST} values; no recipe needs that")
        return found

    def alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self.anchors:
            self.stop(event, f"there is no &{event.anchor} before; put a text that begins with * in quotes")
        found, weight = self.anchors[event.anchor]
        if found is None:
            self.stop(event, f"*{event.anchor} stands inside what it repeats; write the value out")
        self.count += weight
        if self.count > MOST:
            self.stop(event, f"aliases that stand for more than {MOST} values; write out what is meant")
        return found

    def content(self, event: yaml.Event, depth: int) -> Node:
        place = self.place(event)
        match event:
            case yaml.ScalarEvent():
                return Text(event.value, plain=not event.style, place=place)
            case yaml.SequenceStartEvent():
                items = []
                while not isinstance(inner := self.next(depth + 1), yaml.SequenceEndEvent):
                    items.append(self.value(inner, depth + 1))
                return Items(tuple(items), place)
        entries: dict[str, Entry] = {}
        while not isinstance(inner := self.next(depth + 1), yaml.MappingEndEvent):
            key = self.value(inner, depth + 1)
            at = self.place(inner)
            value = self.value(self.next(depth + 1), depth + 1)
            if not isinstance(key, Text) or not key.text:
                self.problems.add(at, (), "a key must be a word; put a text with brackets in quotes")
            elif key.text == "<<" and key.plain:
                self.problems.add(at, (), "merge keys are not read; name a parent recipe with extends:")
            elif key.text in entries:
                first = entries[key.text].place
                self.problems.add(at, (), f"{key.text} is written twice; it already stands at line {first.line}")
            else:
                entries[key.text] = Entry(at, replace(value, place=at) if isinstance(value, Table) else value)
        return Table(entries, place)
