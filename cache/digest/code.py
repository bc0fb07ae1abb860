"""The identity of code: a module's source and that of every module of ours it imports, found without importing them."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.digest.key import key
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.files import sealed

if TYPE_CHECKING:
    import ast

KIND = "imports 2"
_PARSING = threading.Lock()
"""Python 3.11 counts its depth for all threads together: of two that parse at once one can end in a SystemError."""
LIMIT = 2048  # sources whose imports are kept beside the memo

Import: TypeAlias = tuple[int, str, list[str]]
"""Level of a relative import (0: absolute), module, names taken from it (none by "import a.b")."""


def module_identity(
    module_name: str,
    package_prefixes: Iterable[str] = ("bootsmith",),
    memo: Memo | None = None,
    *,
    reread: bool = False,
) -> str:
    """Return the identity of a module: 32 hex digits. Raises ModuleNotFoundError.

    Of what it imports, modules of the packages named count, wherever the import stands in the source but for what is
    written for type checkers alone; not what a name built at run time imports, nor a package's `__init__` for who
    imports only a module below it. With a memo, sources are looked at once in a process, unless `reread`, and parsed
    once for each content.
    """
    return key(modules(module_name, package_prefixes, memo, reread=reread))


def module_identities(module_names: Iterable[str], memo: Memo, *, reread: bool = False) -> dict[str, str]:
    """Return the identity of each of several modules of ours, as `module_identity` does, by one look at sources."""
    index = _index(memo, reread=reread)
    found = {name: key(_digests(_closure(index, [name], ("bootsmith",)))) for name in module_names}
    index.save()
    return found


def joint_identity(module_names: Iterable[str], memo: Memo | None = None) -> str:
    """Return the identity of several modules of ours together: it changes when that of any of them does."""
    index = _index(memo)
    closure = _closure(index, module_names, ("bootsmith",))
    index.save()
    return key(_digests(closure))


def modules(
    module_name: str,
    package_prefixes: Iterable[str] = ("bootsmith",),
    memo: Memo | None = None,
    *,
    reread: bool = False,
) -> dict[str, str]:
    """Return what a module's identity is the key of: module -> fingerprint of its source, "" where it has none."""
    index = _index(memo, reread=reread)
    closure = _closure(index, [module_name], package_prefixes)
    index.save()
    return _digests(closure)


def _digests(closure: Mapping[str, _Module | None]) -> dict[str, str]:
    return {name: module.digest if module else "" for name, module in closure.items()}


def sources(
    module_name: str, package_prefixes: Iterable[str] = ("bootsmith",), memo: Memo | None = None
) -> dict[str, Path]:
    """Return the files a module's identity is made of, by module name. Raises ModuleNotFoundError."""
    closure = _closure(_index(memo), [module_name], package_prefixes)
    return {name: Path(module.path) for name, module in closure.items() if module}


def _index(memo: Memo | None, *, reread: bool = False) -> _SourceIndex:
    known = _INDEXES.get(memo) if memo is not None else None
    if known is not None and not reread:
        return known
    index = _SourceIndex(memo, known.parsed if known is not None else None)
    if memo is not None:
        _INDEXES[memo] = index
    return index


def _closure(
    index: _SourceIndex, module_names: Iterable[str], package_prefixes: Iterable[str]
) -> Mapping[str, _Module | None]:
    """Return modules and all they import. One that is missing counts: it would change the code by appearing."""
    dotted = tuple(f"{prefix}." for prefix in package_prefixes)
    names = tuple(module_names)
    known = index.closures.get((names, dotted))
    if known is not None:
        return known
    closure: dict[str, _Module | None] = {}
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in closure:
            continue
        module = closure[name] = index.module(name)
        if module:
            waiting += index.imported(module, dotted)
    for name in names:
        if not closure[name]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    index.closures[names, dotted] = closure
    return closure


class _Module(NamedTuple):
    name: str
    package: str  # that its relative imports start from
    path: str
    digest: str


class _SourceIndex:
    """The sources seen so far in this process, and what they import; `parsed` is that by what sources hold."""

    def __init__(self, memo: Memo | None, parsed: dict[str, list[Import]] | None = None) -> None:
        self._memo = memo
        self._file = memo.path.with_name(f"{memo.path.name}.imports") if memo is not None else None
        self.parsed = self._load() if parsed is None else parsed
        self._is_saved = True
        self._modules: dict[str, _Module | None] = {}
        self._places: dict[str, tuple[str | None, list[str]]] = {}
        self._listings: dict[str, dict[str, bool]] = {}
        self._imported: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self.closures: dict[tuple[tuple[str, ...], tuple[str, ...]], Mapping[str, _Module | None]] = {}
        """What was found to be imported by modules, in packages; see `_closure`."""

    def module(self, name: str) -> _Module | None:
        """Return a module that has a source, or None."""
        if name not in self._modules:
            path, below = self._place(name)
            package = name if below else name.rpartition(".")[0]
            self._modules[name] = _Module(name, package, path, fingerprint(path, self._memo)) if path else None
        return self._modules[name]

    def imported(self, module: _Module, dotted: tuple[str, ...]) -> list[str]:
        """Return the full names of what a module imports of the packages whose names, each with a dot, are given."""
        known = self._imported.get((module.name, dotted))
        if known is None:
            imports = self.parsed.get(module.digest)
            if imports is None:
                source = Path(module.path).read_bytes()
                imports = list(_scan(source))
                if of_bytes(source) == module.digest:  # else edited meanwhile: true for now, and not to be kept
                    self.parsed[module.digest] = imports
                    self._is_saved = False
            known = list(dict.fromkeys(self._resolve(module, imports, dotted)))
            self._imported[module.name, dotted] = known
        return known

    def _resolve(self, module: _Module, imports: list[Import], dotted: tuple[str, ...]) -> Iterator[str]:
        for level, written, names in imports:
            base = written
            if level:
                above = module.package.split(".")
                base = ".".join([*above[: len(above) - level + 1], *([written] if written else [])])
            if not f"{base}.".startswith(dotted):
                continue
            if not names or not self._place(base)[1]:  # a module has no modules below it
                yield base
                continue
            for name in names:
                yield f"{base}.{name}" if self._exists(f"{base}.{name}") else base

    def _exists(self, name: str) -> bool:
        path, below = self._place(name)
        return path is not None or bool(below)

    def _place(self, name: str) -> tuple[str | None, list[str]]:
        """Return a module's source, if it has one, and the folders of modules below it, if it is a package."""
        if name not in self._places:
            parent, _, last = name.rpartition(".")
            self._places[name] = self._below(self._place(parent)[1], last) if parent else _top(name)
        return self._places[name]

    def _below(self, folders: list[str], last: str) -> tuple[str | None, list[str]]:
        """Place a module in a package's folders, in the order in which Python looks."""
        portions = []
        for folder in folders:
            listing = self._listing(folder)
            package = f"{folder}/{last}"
            if listing.get(last):
                if self._listing(package).get("__init__.py") is False:
                    return f"{package}/__init__.py", [package]
                portions.append(package)
            if listing.get(f"{last}.py") is False:
                return f"{package}.py", []
        return None, portions

    def _listing(self, folder: str) -> dict[str, bool]:
        """Return what is in a folder, and whether it is a folder itself: one look for all modules there."""
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    self._listings[folder] = {each.name: each.is_dir() for each in entries if _is_there(each)}
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder]

    def save(self) -> None:
        """Keep what sources import, if any was parsed. Not being able to costs parsing again."""
        if self._is_saved or self._file is None:
            return
        kept = dict(list(self.parsed.items())[-LIMIT:])
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            sealed.write(self._file, KIND, json.dumps(kept).encode())
        except OSError:
            return
        self._is_saved = True

    def _load(self) -> dict[str, list[Import]]:
        body = sealed.read(self._file, KIND) if self._file else None
        return json.loads(body) if body else {}


_INDEXES: WeakKeyDictionary[Memo, _SourceIndex] = WeakKeyDictionary()


def _top(name: str) -> tuple[str | None, list[str]]:
    """Place a top-level name; one that is imported already has said where its modules are."""
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None), list(getattr(module, "__path__", ()))
    spec = find_spec(name)
    if spec is None:
        return None, []
    return (spec.origin if spec.has_location else None), list(spec.submodule_search_locations or ())


def _is_there(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder or a file, and no link to nothing."""
    return entry.is_dir() or entry.is_file()


def _scan(source: bytes) -> Iterator[Import]:
    """Parse a source and yield its imports; one that does not parse cannot be run either, and has none."""
    import ast  # nothing that only looks at known sources needs it

    try:
        with _PARSING:
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    unexecuted = {inner for part in _for_type_checkers(tree) for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if node in unexecuted:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", [alias.name for alias in node.names]


def _for_type_checkers(tree: ast.Module) -> list[ast.stmt]:
    """Return what stands below `if TYPE_CHECKING:` and never runs; nothing where the name may mean anything else."""
    import ast

    name = "TYPE_CHECKING"
    bound = [node for node in ast.walk(tree) if isinstance(node, ast.alias) and name in (node.name, node.asname)]
    given = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "typing" and {*bound} & {*node.names}
    ]
    stored = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)
    if len(bound) != 1 or bound[0].asname or not given or any(not isinstance(node.ctx, ast.Load) for node in stored):
        return []
    return [
        part
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == name
        for part in node.body
    ]
