"""The command line's NAME=VALUE words: variables, and keys by their paths, as one more recipe laid over the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bootsmith.cache.display import nearest
from bootsmith.tasks.recipe.inheritance.merge import lay
from bootsmith.tasks.recipe.keys.all import RECIPE
from bootsmith.tasks.recipe.text.nodes import (
    COMMAND_LINE,
    NULLS,
    Entry,
    Items,
    Node,
    Place,
    Table,
    Text,
    is_null,
    node,
)
from bootsmith.tasks.recipe.text.parse import parse_word
from bootsmith.tasks.recipe.text.problems import Problems, suggest
from bootsmith.tasks.recipe.values.scalars import Scalar, Type
from bootsmith.tasks.recipe.values.shapes import Choose, ListOf, Named, OneOrMore, Section, WordOr

OUTPUT = "--output"
"""The word that names the first output's file: `image` has it as an option, and no key or variable is called so."""


def given(words: Mapping[str, str], names: Sequence[str], shell: Path) -> dict[str, Text]:
    """Return the words that give the variables `names`; their paths start from `shell`."""
    return {name: literal(text, shell) for name, text in words.items() if name in names}


def literal(text: str, shell: Path) -> Text:
    """Return a VALUE taken as it is; nothing at all is an empty text, and null has to be said."""
    return Text(text, plain=text in NULLS and text != "", place=Place(COMMAND_LINE, 0, 0, shell), given=True)


def edits(words: Mapping[str, str], variables: Sequence[str], tree: Table, shell: Path, problems: Problems) -> Table:
    """Return the words that name keys, as a recipe of its own; `tree` tells which named things there are."""
    place = Place(COMMAND_LINE, 0, 0, shell)
    top: dict[str, Any] = {}
    for name, text in words.items():
        if name in variables or name == OUTPUT:
            continue
        word, sign = (name[:-1], name[-1]) if name[-1:] in ("+", "-") else (name, "")
        found = _find(word, tree, variables, place, problems)
        if found is None:
            continue
        path, kind = found
        value = said(kind, text, shell, path, problems)
        if value is not None:
            at = top
            for step in path[:-1]:
                at = at.setdefault(step, {})
            at[path[-1] + sign] = value
    return _table(top, place)


def with_output(tree: Table, file: Node, problems: Problems) -> Table:
    """Return a recipe, all of it laid together, whose first output's file is called `file`."""
    key, place = RECIPE.keys["outputs"], file.place
    asked = tree.get("outputs")
    outputs = node(key.raw, place) if asked is None or is_null(asked) else asked
    if not (isinstance(outputs, Items) and outputs.items):
        problems.add(place, (OUTPUT,), "the recipe keeps no output that could be called so; add one to `outputs`")
        return tree
    first, *others = outputs.items
    kind = next(iter(first.entries), "") if isinstance(first, Table) else first.text if isinstance(first, Text) else ""
    told = Table({kind: Entry(place, Table({"file": Entry(place, file)}, place))}, place)
    assert isinstance(key.type, ListOf), "outputs are a list"
    named = lay(key.type.item, first, told, ("outputs",), problems)
    return Table({**tree.entries, "outputs": Entry(place, Items((named, *others), outputs.place))}, tree.place)


def _find(
    name: str, tree: Table, variables: Sequence[str], place: Place, problems: Problems
) -> tuple[tuple[str, ...], Type] | None:
    """Return a key's path and kind, or None where there is no such key."""
    steps = name.split(".")
    kind: Type = RECIPE
    path: tuple[str, ...] = ()
    while steps:
        step = steps.pop(0)
        known: Sequence[str] = ()
        if isinstance(kind, WordOr):
            kind = kind.other
        match kind:
            case Section(keys=keys):
                known, inner = list(keys), keys[step].type if step in keys else None
            case Named(value=Scalar() as inner):
                step = ".".join([step, *steps])  # a host's name has dots of its own
                steps, known = [], [step]
            case Named(value=value):
                known = _names(path, tree)
                inner = value if step in known else None
            case Choose(kinds=kinds) | ListOf(item=Choose(kinds=kinds)):
                known, inner = list(kinds), kinds[step].options if step in kinds else None
            case _:
                inner = None
        if inner is None:
            problems.add(place, (name,), _unknown(step, path, known, variables, tree))
            return None
        path, kind = (*path, step), inner
    if isinstance(kind, Section):
        example = ".".join((name, next(iter(kind.keys))))
        problems.add(place, (name,), f"this holds keys of its own; name one of them, like {example}=VALUE")
        return None
    return path, kind


def _names(path: tuple[str, ...], tree: Table) -> list[str]:
    """Return the named things there are at `path`: as written, and as there by default."""
    written = tree.get(*path)
    usual: Sequence[str] = ()
    if path == ("system", "users"):
        usual = ["root"]
    elif path == ("boot", "entries") and written is None:
        usual = ["default"]
    return [*usual, *(written.entries if isinstance(written, Table) else [])]


def _unknown(step: str, path: tuple[str, ...], known: Sequence[str], variables: Sequence[str], tree: Table) -> str:
    if path:
        meant = nearest(step, known)
        todo = f"did you mean {'.'.join((*path, meant))}?" if meant else suggest(step, known)
        return f"there is no such key; {todo}"
    words = {each.rpartition(".")[2]: each for each in reversed([*_leaves(RECIPE, (), tree)])}
    words |= {each: each for each in (*known, *variables)}
    meant = nearest(step, [word for word in words if word[:1] == step[:1]])  # among so many `build` is like `uuid`
    todo = f"did you mean {words[meant]}?" if meant else "`doit show` prints every key"
    return f"there is no such variable or key; {todo}"


def _leaves(kind: Type, path: tuple[str, ...], tree: Table) -> Iterator[str]:
    match kind:
        case WordOr(other=Section() as section):
            yield from _leaves(section, path, tree)
        case Section(keys=keys):
            for name, key in keys.items():
                yield from _leaves(key.type, (*path, name), tree)
        case Choose(kinds=kinds):
            for name, each in kinds.items():
                yield from _leaves(each.options, (*path, name), tree)
        case Named(value=Section() as value):
            for name in _names(path, tree):
                yield from _leaves(value, (*path, name), tree)
        case _:
            yield ".".join(path)


def said(kind: Type, text: str, shell: Path, path: tuple[str, ...], problems: Problems) -> Node | None:
    """Return a VALUE: plain text as it is, `a,b` or `[a, b]` for a list, else YAML."""
    if isinstance(kind, Scalar):
        return literal(text, shell)
    if isinstance(kind, ListOf | OneOrMore) and not text.startswith("[") and text not in NULLS:
        text = f"[{text}]"
    return parse_word(text, shell, path, problems)


def _table(words: Mapping[str, Any], place: Place) -> Table:
    """Return nested dictionaries, with nodes at their ends, as nested mappings of a recipe."""
    return Table(
        {key: Entry(place, _table(each, place) if isinstance(each, dict) else each) for key, each in words.items()},
        place,
    )
