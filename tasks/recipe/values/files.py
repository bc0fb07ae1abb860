"""FILE: what a recipe may say wherever it takes a file, a path or a place where bootsmith finds one by itself."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Json
from bootsmith.tasks.recipe.model.files import BuiltFile, PackageFile, RecipeOutput, WebFile
from bootsmith.tasks.recipe.text.nodes import Items, Node, Raw, Table, Text, is_null
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems, Wrong, suggest
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.scalars import FAILED, Bool, Choice, FilePath, Type
from bootsmith.tasks.recipe.values.shapes import Key, Section

Taken = TypeVar("Taken", PackageFile, BuiltFile, RecipeOutput, WebFile)
SUITES: Final = {"amd64": "trixie", "i386": "bookworm"}
"""Where packages come from that no recipe names a suite for: the newest release in which the architecture is whole."""

PACKAGE = Section(
    {
        "package": Key(words.PACKAGE, "the package", required=True),
        "path": Key(words.GLOB, "the file in it, or a pattern that one file matches", required=True),
        "suite": Key(words.SUITE, "the release it is taken from", derived="the recipe's"),
        "arch": Key(Choice(*SUITES), "the architecture it is built for", derived="the recipe's"),
        "security": Key(Bool(), "take its security updates", True),
    },
    PackageFile,
)

BUILT = Section({"build": Key(words.PLAIN, "the build, by its name below `build:`", required=True)}, BuiltFile)


class RecipeName(FilePath):
    """A recipe: the NAME of one beside the file that writes it, or a PATH."""

    said = "NAME"

    def __init__(self) -> None:
        super().__init__("file")

    def parse(self, said: Text) -> Path:
        text = said.text
        if "/" in text or text.endswith((".yaml", ".yml")):
            return super().parse(said)
        words.PLAIN.parse(said)
        path = said.place.base / f"{text}.yaml"
        if not path.is_file():
            known = sorted(each.stem for each in path.parent.glob("*.yaml"))
            raise Wrong(f"there is no recipe {text!r} in {shown(said.place.base)}", suggest(text, known))
        return path


OUTPUT = Section(
    {
        "recipe": Key(RecipeName(), "the other recipe, by its name or path", required=True),
        "output": Key(words.PLAIN, "which of its outputs, by the format; the first of several", required=True),
    },
    RecipeOutput,
)
WEB = Section(
    {
        "url": Key(words.FILE_URL, "where it is", required=True),
        "sha256": Key(words.SHA256, "what its content has for a SHA-256", required=True),
    },
    WebFile,
)
_KINDS: Final[Mapping[str, tuple[Section, type]]] = {
    "package": (PACKAGE, PackageFile),
    "build": (BUILT, BuiltFile),
    "recipe": (OUTPUT, RecipeOutput),
    "url": (WEB, WebFile),
}
"""The files that are written as mappings, each by the key that tells it."""


class File(Type):
    """A FILE: a path, one out of a package or made by a build or another recipe, or the first of several there."""

    said = "FILE"
    blank = Path()
    kinds = (*_KINDS, "first")

    def __init__(self) -> None:
        self._path = FilePath("file")

    def is_said_by(self, table: Table) -> bool:
        return any(kind in table.entries for kind in self.kinds)

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        match node:
            case Text():
                return self._path.read(node, path, problems)
            case Table() if len(several := [kind for kind in self.kinds if kind in node.entries]) > 1:
                problems.add(node.place, path, f"{' and '.join(sorted(several))} at once; write one of them")
                return FAILED
            case Table() if kind := next((each for each in _KINDS if each in node.entries), None):
                return _KINDS[kind][0].read(node, path, problems)
            case Table() if strange := [word for word in node.entries if word not in self.kinds]:
                for word in strange:
                    what = f"unknown key; {suggest(word, self.kinds)}"
                    problems.add(node.entries[word].place, (*path, word), what)
                return FAILED
            case Table() if "first" in node.entries:
                return self._first(node.entries["first"].value, (*path, "first"), problems)
        problems.add(
            node.place,
            path,
            "this takes one file; write a PATH, {package:, path:}, {build: NAME}, {recipe:, output:}, {url:, sha256:} "
            "or {first: [...]}",
        )
        return FAILED

    def _first(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        """Return the first of several files that is there; what else was thought of is noted."""
        if not isinstance(node, Items):
            problems.add(node.place, path, "this takes a list of files; write [FILE, ...]")
            return FAILED
        looked: list[Path] = []
        found: Any = None
        for number, each in enumerate(node.items):
            if is_null(each):
                continue
            if isinstance(each, Text) and not each.given:  # what a command names must be there
                candidate: Any = FilePath().read(each, (*path, number), problems)
                if candidate is not FAILED and found is None and not _is_file(candidate):
                    looked.append(Path(os.path.normpath(candidate)))
                    continue
            else:
                candidate = self.read(each, (*path, number), problems)
            if candidate is FAILED:
                return FAILED
            found = candidate if found is None else found
        if found is None:
            what = f"none of these is there: {_listed(looked)}" if looked else "no file is named"
            problems.add(node.place, path, f"{what}; create one of them, or name another file")
            return FAILED
        if isinstance(found, PackageFile):
            found = dataclasses.replace(found, instead_of=tuple(looked))
        problems.note(path[:-1], f"{_title(found)}" + (f" ({_listed(looked)} not there)" if looked else ""))
        return found

    def write(self, value: Any) -> Raw:
        kind = next((section for section, model in _KINDS.values() if isinstance(value, model)), self._path)
        return kind.write(value)

    def inline(self) -> dict[str, Json]:
        files: Json = {"anyOf": [_REFERENCE, {"type": "null"}]}
        first: Json = {"type": "array", "items": files, "description": "take the first that is there"}
        keys = {name: key for section, _ in _KINDS.values() for name, key in section.keys.items()}
        return {**{name: key.type.schema() for name, key in keys.items()}, "first": first}

    def schema(self) -> dict[str, Json]:
        return _REFERENCE


_REFERENCE: Final[dict[str, Json]] = {"$ref": "#/$defs/file"}


def definition() -> dict[str, Json]:
    """Return the JSON Schema of a FILE."""
    kinds: Json = {"type": "object", "additionalProperties": False, "properties": File().inline()}
    return {"anyOf": [{"type": "string", "minLength": 1}, kinds]}


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(shown(Path(os.path.normpath(path))) for path in paths)


def _title(file: Path | PackageFile | BuiltFile | RecipeOutput | WebFile) -> str:
    if isinstance(file, WebFile):
        return file.url
    if isinstance(file, BuiltFile):
        return f"what the build {file.build} makes"
    if isinstance(file, RecipeOutput):
        return f"the {file.output} of {shown(file.recipe)}"
    return f"{file.path} of the package {file.package}" if isinstance(file, PackageFile) else _listed([file])


# -- what a whole recipe says


def settle(value: Any, suite: str | None, arch: str) -> Any:
    """Return a part of a recipe, all files of packages in it with the suite and architecture they are taken from."""
    match value:
        case PackageFile():
            built_for = value.arch or arch
            usual = suite if built_for == arch else None
            return dataclasses.replace(value, suite=value.suite or usual or SUITES[built_for], arch=built_for)
        case Mapping():
            return {key: settle(each, suite, arch) for key, each in value.items()}
        case tuple():
            return tuple(settle(each, suite, arch) for each in value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            found = {name: settle(each, suite, arch) for name, each in fields.items()}
            changed = {name: each for name, each in found.items() if each is not fields[name] and each != fields[name]}
            return dataclasses.replace(value, **changed) if changed else value
    return value


def packaged(value: Any) -> Iterator[PackageFile]:
    """Yield the files of packages that a recipe, or a part of one, takes, each once."""
    yield from taken(value, PackageFile)


def taken(value: Any, kind: type[Taken]) -> Iterator[Taken]:
    """Yield the files of one kind that a recipe, or a part of one, takes, each once."""
    yield from dict.fromkeys(_taken(value, kind))


def _taken(value: Any, kind: type[Taken]) -> Iterator[Taken]:
    match value:
        case _ if isinstance(value, kind):
            yield value
        case Mapping():
            for each in value.values():
                yield from _taken(each, kind)
        case tuple():
            for each in value:
                yield from _taken(each, kind)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                if field.name != "others":  # what other recipes take is theirs
                    yield from _taken(getattr(value, field.name), kind)


def located(value: Any, kind: type[Taken], path: KeyPath) -> Iterator[tuple[KeyPath, Taken]]:
    """Yield the files of one kind that a part of a recipe takes, each with its key; `path` is that of the part."""
    match value:
        case _ if isinstance(value, kind):
            yield path, value
        case Mapping():
            for name, each in value.items():
                yield from located(each, kind, (*path, name))
        case tuple():
            for number, each in enumerate(value):
                yield from located(each, kind, (*path, number))
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            word = getattr(value, "kind", None)  # of an output: its keys stand below it
            inside: KeyPath = (*path, word) if isinstance(word, str) else path
            for field in dataclasses.fields(value):
                key = "from" if field.name == "source" else field.name  # which is no name in Python
                yield from located(getattr(value, field.name), kind, (*inside, key))
