"""The keys of `build:`: files made by commands of the recipe's own."""

from __future__ import annotations

from typing import Any

from bootsmith.tasks.recipe.model.build import Build
from bootsmith.tasks.recipe.text.nodes import Items, Node, Raw
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import Bool, FilePath, Str, Type
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Named, Section


class _Command(Type):
    """A command: a text for sh, or a program with its words."""

    said = "COMMAND or a list"
    blank = ""

    def __init__(self) -> None:
        self._words = ListOf(Str(lines=True), at_least=1)

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        return (self._words if isinstance(node, Items) else words.COMMAND).read(node, path, problems)

    def write(self, value: Any) -> Raw:
        return value if isinstance(value, str) else list(value)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [words.COMMAND.schema(), self._words.schema()]}


_INSIDE = Str(
    "PATH",
    r"(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\0\n]*[^/\0\n]",
    "a path inside the copy",
    "write it from the folder `dir` on, without ..",
)
BUILD = Section(
    {
        "run": Key(_Command(), "the command, for sh -eu, or a program and its words", required=True),
        "inputs": Key(
            ListOf(FilePath(), at_least=1),
            "files, folders and patterns that it reads; it sees no others",
            required=True,
        ),
        "output": Key(_INSIDE, "the file that it makes", required=True),
        "dir": Key(
            FilePath("directory"),
            "the folder that it runs in a copy of, and that holds the inputs",
            derived="the recipe's own",
        ),
        "env": Key(Named(words.VARIABLE, Str(lines=True)), "further variables", {}),
        "tools": Key(ListOf(words.PROGRAM, once=True), "programs of the host whose change makes it anew", []),
        "scratch": Key(ListOf(_INSIDE, once=True), "folders that are kept from one run to the next, as for ccache", []),
        "network": Key(Bool(), "let it reach the network; what it fetches there is no part of its key", False),
    },
    Build,
)
BUILDS = Named(words.PLAIN, BUILD)
