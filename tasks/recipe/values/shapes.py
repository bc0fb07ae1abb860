"""The kinds of values made of others: sections of keys, named things, lists, and choices of a kind with its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bootsmith.tasks.build.stage import Json
from bootsmith.tasks.recipe.text.nodes import Entry, Items, Node, Place, Raw, Table, Text, is_null, node
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems, Wrong, suggest
from bootsmith.tasks.recipe.text.writing import flow
from bootsmith.tasks.recipe.values.scalars import FAILED, Scalar, Str, Type

NOWHERE = Place("default", 0, 0, Path())
"""Where defaults are written."""


class Key:
    """One key of a section. `raw` is its default as one would write it, `value` that default read.

    `derived` says in words what an unwritten key becomes where that depends on others; `attr` is the model's field.
    """

    def __init__(
        self, kind: Type, doc: str, raw: Raw = None, *, derived: str = "", required: bool = False, attr: str = ""
    ) -> None:
        self.type, self.doc, self.raw, self.derived, self.required, self.attr = kind, doc, raw, derived, required, attr
        problems = Problems()
        if required:
            self.value = kind.blank
        else:
            self.value = None if raw is None else kind.read(node(raw, NOWHERE), (), problems)
        problems.raise_if_any()


class Section(Type):
    """A mapping of known keys, read into `make(**values)`. `bare` is the key that a value alone stands for."""

    said = "{...}"

    def __init__(self, keys: Mapping[str, Key], make: Callable[..., Any] = dict, *, bare: str = "") -> None:
        self.keys, self._make, self.bare = keys, make, bare

    @property
    def blank(self) -> Any:  # computed, since most sections never need it
        return self._make(**{key.attr or name: key.value for name, key in self.keys.items()})

    def table(self, node: Node) -> Node:
        """Return a value as the mapping it is short for; keys of the section may stand among those of the value."""
        if not self.bare:
            return node
        if not isinstance(node, Table):
            return Table({self.bare: Entry(node.place, node)}, node.place)
        if self.bare in node.entries or not self.keys[self.bare].type.is_said_by(node):
            return node
        ours = {name: entry for name, entry in node.entries.items() if name in self.keys}
        inner = {name: entry for name, entry in node.entries.items() if name not in self.keys}
        return Table({self.bare: Entry(node.place, Table(inner, node.place)), **ours}, node.place)

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        node = self.table(node)
        if not isinstance(node, Table):
            problems.add(node.place, path, f"this takes keys of its own; known here: {', '.join(self.keys)}")
            return FAILED
        values = {}
        for name, entry in node.entries.items():
            key = self.keys.get(name)
            if key is None:
                problems.add(entry.place, (*path, name), f"unknown key; {suggest(name, list(self.keys))}")
            elif not is_null(entry.value):
                values[name] = key.type.read(entry.value, (*path, name), problems)
        for name, key in self.keys.items():
            if key.required and name not in values and not problems.partial:
                problems.add(node.place, (*path, name), f"this must be given; write `{name}: {key.type.said}`")
            if values.get(name, FAILED) is FAILED:
                values[name] = key.value
        return self._make(**{self.keys[name].attr or name: value for name, value in values.items()})

    def write(self, value: Any) -> Raw:
        get = value.get if isinstance(value, Mapping) else lambda attr: getattr(value, attr)
        found = {}
        for name, key in self.keys.items():
            each = get(key.attr or name)
            raw = None if each is None else key.type.write(each)
            if raw is not None:
                found[name] = raw
        return found

    def schema(self) -> dict[str, Json]:
        properties: dict[str, Json] = {}
        for name, key in self.keys.items():
            described = {**key.type.schema(), "description": key.doc}
            properties[name] = described | ({"default": key.raw} if key.raw is not None else {})
            if isinstance(key.type, ListOf):
                properties[f"{name}+"] = properties[f"{name}-"] = key.type.schema()
            elif appends(key.type):
                properties[f"{name}+"] = key.type.schema()
        mapping: dict[str, Json] = {"type": ["object", "null"], "additionalProperties": False, "properties": properties}
        if not self.bare:
            return mapping
        kind = self.keys[self.bare].type
        forms: list[Json] = [mapping, kind.schema()]
        if inline := kind.inline():
            others = {name: each for name, each in properties.items() if name != self.bare}
            forms.append({**mapping, "type": "object", "properties": {**inline, **others}})
        return {"anyOf": forms}


def appends(kind: Type) -> bool:
    """Tell whether `key+` may add words to a text of this kind."""
    return type(kind) is Str and kind.appends


class WordOr(Type):
    """One of a few words, or else a value of another kind."""

    def __init__(self, *words: str, other: Type) -> None:
        self.words, self.other = words, other
        self.said = "|".join([*words, other.said])
        self.blank = words[0]

    def is_word(self, node: Node) -> bool:
        return isinstance(node, Text) and node.text in self.words

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        if isinstance(node, Text) and node.text in self.words:
            return node.text
        return self.other.read(node, path, problems)

    def write(self, value: Any) -> Raw:
        return value if isinstance(value, str) and value in self.words else self.other.write(value)

    def schema(self) -> dict[str, Json]:
        return {"anyOf": [{"enum": list(self.words)}, self.other.schema()]}


class Named(Type):
    """A mapping whose keys are names of the recipe's own; their order is kept."""

    def __init__(self, name: Scalar, value: Type) -> None:
        self.name, self.value = name, value
        self.blank = {}
        self.said = f"{{{name.said}: {value.said}}}"

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        if not isinstance(node, Table):
            problems.add(node.place, path, f"this takes names of your own; write {self.said}")
            return FAILED
        found = {}
        for name, entry in node.entries.items():
            try:
                self.name.parse(Text(name, plain=False, place=entry.place))
            except Wrong as wrong:
                problems.add(entry.place, (*path, name), str(wrong))
            if "${" in name:
                what = "variables do not stand in keys; write the name itself"
                problems.add(entry.place, (*path, name), what)
            if not is_null(entry.value):
                value = self.value.read(entry.value, (*path, name), problems)
                if value is not FAILED:
                    found[name] = value
        return found

    def write(self, value: Any) -> Raw:
        return {name: self.value.write(each) for name, each in value.items()}

    def schema(self) -> dict[str, Json]:
        return {"type": ["object", "null"], "additionalProperties": self.value.schema()}


class ListOf(Type):
    """A list, in order. `once` leaves out what stands there already: parents and children often add the same."""

    blank: tuple[Any, ...] = ()

    def __init__(self, item: Type, *, at_least: int = 0, once: bool = False) -> None:
        self.item, self._at_least, self._once = item, at_least, once
        self.said = f"[{item.said}]"

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        if not isinstance(node, Items):
            hint = self.said
            if isinstance(node, Text) and node.text:
                hint = flow([node.text], node.place.base)  # quoted where YAML wants it: `[login:]` holds no text
            problems.add(node.place, path, f"this takes a list; write {hint}")
            return FAILED
        if len(node.items) < self._at_least:
            problems.add(node.place, path, f"the list is empty; write at least {self._at_least} of {self.item.said}")
        found = []
        for number, each in enumerate(node.items):
            if is_null(each):
                problems.add(each.place, (*path, number), "an empty item; remove it, or write the value")
                continue
            value = self.item.read(each, (*path, number), problems)
            if value is not FAILED and not (self._once and value in found):
                found.append(value)
        return tuple(found)

    def write(self, value: Any) -> Raw:
        return [self.item.write(each) for each in value]

    def schema(self) -> dict[str, Json]:
        return {"type": ["array", "null"], "items": self.item.schema(), "minItems": self._at_least}


class OneOrMore(Type):
    """A value alone, or a list of different ones."""

    def __init__(self, item: Scalar) -> None:
        self._item = item
        self.blank = (item.blank,)
        self.said = f"{item.said} or a list"

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        items = node.items if isinstance(node, Items) else (node,)
        if not items:
            problems.add(node.place, path, f"the list is empty; write at least one of {self._item.said}")
            return FAILED
        found = []
        for number, each in enumerate(items):
            own = (*path, number) if isinstance(node, Items) else path
            value = self._item.read(each, own, problems)
            if value is not FAILED and value in found:
                problems.add(each.place, own, f"{value} stands here twice; write it once")
            found.append(value)
        return FAILED if FAILED in found else tuple(found)

    def write(self, value: Any) -> Raw:
        written = [self._item.write(each) for each in value]
        return written if len(written) > 1 else written[0]

    def schema(self) -> dict[str, Json]:
        one = self._item.schema()
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}]}


class Kind(NamedTuple):
    """One kind to choose: its options, and the model it becomes."""

    options: Type
    doc: str
    model: type


class Chosen(NamedTuple):
    """What was chosen: `name` is the item's own, where it was given one."""

    kind: str
    name: str | None
    value: Any


class Choose(Type):
    """A kind by its name, alone or with options: `raw`, or `raw: {file: x}`. `name` is a key any choice may carry.

    `absent` says of kinds that one would look for why there are none, and what to do instead.
    """

    def __init__(
        self, kinds: Mapping[str, Kind], name: Key | None = None, *, absent: Mapping[str, str] | None = None
    ) -> None:
        self.kinds, self._name, self._absent = kinds, name, absent or {}
        self.said = "|".join(kinds)

    @property
    def blank(self) -> Any:  # computed, since most recipes never need it
        kind, chosen = next(iter(self.kinds.items()))
        return Chosen(kind, None, chosen.options.blank)

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        if isinstance(node, Text):
            node = Table({node.text: Entry(node.place, Table({}, node.place))}, node.place)
        if not isinstance(node, Table):
            problems.add(node.place, path, f"this is a list, not one of {', '.join(self.kinds)}; write one of them")
            return FAILED
        entries = dict(node.entries)
        named = entries.pop("name", None) if self._name else None
        name = None
        if self._name and named and not is_null(named.value):
            name = self._name.type.read(named.value, (*path, "name"), problems)
        kinds = [kind for kind in entries if kind in self.kinds]
        for word, entry in entries.items():
            if word not in self.kinds:
                told = self._absent.get(word) or f"no such kind; {suggest(word, list(self.kinds))}"
                problems.add(entry.place, (*path, word), told)
        if len(kinds) != 1:
            if len(kinds) > 1 or not entries:
                what = f"{' and '.join(kinds)} at once" if kinds else "nothing is chosen"
                problems.add(node.place, path, f"{what}; write exactly one of {', '.join(self.kinds)}")
            return FAILED
        kind = kinds[0]
        options = entries[kind].value
        value = self.kinds[kind].options.read(
            Table({}, options.place) if is_null(options) else options, (*path, kind), problems
        )
        return FAILED if value is FAILED else Chosen(kind, None if name is FAILED else name, value)

    def write(self, value: Any) -> Raw:
        kind = next(word for word, each in self.kinds.items() if type(value) is each.model)
        options = self.kinds[kind].options
        raw = options.write(value if isinstance(options, Section) else getattr(value, kind))
        return {"name": value.name, kind: raw} if self._name else {kind: raw}

    def schema(self) -> dict[str, Json]:
        extra: dict[str, Json] = {"name": self._name.type.schema()} if self._name else {}
        kinds: list[Json] = [{"enum": list(self.kinds)}]
        for kind, each in self.kinds.items():
            options = {**each.options.schema(), "description": each.doc}
            kinds.append(
                {
                    "type": "object",
                    "required": [kind],
                    "additionalProperties": False,
                    "properties": {kind: options, **extra},
                }
            )
        return {"anyOf": kinds}
