"""A recipe's files: itself and the parents it extends, each read once, parents first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.recipe.text.nodes import Entry, Items, Node, Place, Table, Text, is_null
from bootsmith.tasks.recipe.text.parse import parse_file
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems, Wrong, suggest
from bootsmith.tasks.recipe.values.words import PLAIN

OWN = ("name", "description")
"""What a file says of itself alone: a child with its parent's name would build in its parent's folder."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file, taken apart. `profiles` are partial recipes; None where a child drops one of its parents'."""

    path: Path
    body: Table
    vars: Table
    profiles: dict[str, Table | None]


def gather(path: Path, search: Path | None, problems: Problems) -> list[Document]:
    """Return a recipe's documents, parents left to right before their children; the last is `path`'s own.

    Empty where `path` itself cannot be read. A parent reached twice stands where it was reached first.
    """
    return _Reader(search, problems).read(path, ())


class _Reader:
    def __init__(self, search: Path | None, problems: Problems) -> None:
        self.search = search
        self.problems = problems
        self.done: set[Path] = set()

    def read(
        self, path: Path, children: tuple[Path, ...], asked: tuple[Place, KeyPath] | None = None
    ) -> list[Document]:
        table = parse_file(path, self.problems, asked)
        if table is None:
            self.problems.partial = True
            return []
        found: list[Document] = []
        for number, name in enumerate(self._parents(table)):
            key = ("extends", len(self.done), number)
            try:
                parent = self._file(name, path)
                self._refuse_circle(parent, (*children, path))
            except Wrong as wrong:
                self.problems.add(name.place, key, str(wrong))
                self.problems.partial = True
                continue
            if parent.resolve() not in self.done:
                self.done.add(parent.resolve())
                found += self.read(parent, (*children, path), (name.place, key))
        return [*found, self._document(path, table, own=not children)]

    def _parents(self, table: Table) -> list[Node]:
        written = table.get("extends")
        if written is None or is_null(written):
            return []
        return [*written.items] if isinstance(written, Items) else [written]

    def _file(self, name: Node, child: Path) -> Path:
        """Return the file a parent's NAME or PATH means. Raises Wrong."""
        if not isinstance(name, Text) or not name.text or "${" in name.text:
            raise Wrong("a parent is a name or a path, without variables", "write one, or several in []")
        if "/" in name.text or name.text.endswith((".yaml", ".yml")):
            path = name.place.base / name.text
            if not os.path.exists(path):  # noqa: PTH110  # Path.exists raises where a name is too long
                raise Wrong(f"{shown(path)} does not exist", "name a recipe, or the path of one")
            return path
        folders = [child.parent, *([self.search] if self.search else [])]
        for folder in folders:
            path = folder / f"{name.text}.yaml"
            if os.path.exists(path):  # noqa: PTH110  # as above
                return path
        known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml") if path != child})
        raise Wrong(f"there is no recipe {name.text!r}", suggest(name.text, known))

    def _refuse_circle(self, parent: Path, line: tuple[Path, ...]) -> None:
        identities = [each.resolve() for each in line]
        if parent.resolve() in identities:
            circle = [*line[identities.index(parent.resolve()) :], parent]
            raise Wrong(f"recipes in a circle: {' extends '.join(map(shown, circle))}", "remove one of these extends")

    def _document(self, path: Path, table: Table, *, own: bool) -> Document:
        head = {key: table.entries[key].value for key in ("vars", "profiles") if key in table.entries}
        for key, value in head.items():
            if not isinstance(value, Table) and not is_null(value):
                self.problems.add(value.place, (key,), "this takes names of your own; write {NAME: ...}")
        out = {"extends", "vars", "profiles", *(() if own else OWN)}
        body = Table({key: each for key, each in table.entries.items() if key not in out}, table.place)
        profiles: dict[str, Table | None] = {}
        written = head.get("profiles")
        for name, entry in written.entries.items() if isinstance(written, Table) else ():
            profiles[name] = self._profile(name, entry)
        return Document(path, body, _table(head.get("vars"), table), profiles)

    def _profile(self, name: str, entry: Entry) -> Table | None:
        if is_null(entry.value):
            return None
        try:
            PLAIN.parse(Text(name, plain=False, place=entry.place))
        except Wrong as wrong:
            self.problems.add(entry.place, ("profiles", name), str(wrong))
        if not isinstance(entry.value, Table):
            self.problems.add(entry.place, ("profiles", name), "a profile is a partial recipe; write its keys")
            return Table({}, entry.place)
        for key in ("extends", "profiles"):
            if key in entry.value.entries:
                place = entry.value.entries[key].place
                self.problems.add(place, ("profiles", name, key), "this cannot stand in a profile; move it out")
        kept = {key: each for key, each in entry.value.entries.items() if key not in ("extends", "profiles")}
        return Table(kept, entry.value.place)


def _table(value: Node | None, around: Table) -> Table:
    return value if isinstance(value, Table) else Table({}, around.place)
