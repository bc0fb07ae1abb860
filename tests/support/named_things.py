"""What texts of this house name of it: files by their paths, or their ends, and modules by their dotted names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tests.support.checkout import CHECKOUT

ROOMS = ("tasks", "cache", "tests", "benchmarks", "recipes", "docs", "src")
_BELOW = rf"(?:{'|'.join(ROOMS)})/[\w./+-]*\w"
_BY_ENDING = r"(?:[\w-]+/)*[\w-]+\.(?:py|md)\b"
_FILE = re.compile(rf"(?<![\w./<:~-])(?:{_BELOW}|{_BY_ENDING})")
_COMMENT = re.compile(r"(?:^|\s)#\s.*")  # or what looks so in a string: quicker than to take the source apart
_MODULE = re.compile(r"(?<![\w./])(?:bootsmith(?:\.\w+)+|(?:tasks|cache)(?:\.\w+)+)")


class Line(NamedTuple):
    """A line of prose, and where it stands."""

    file: Path
    number: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.file.relative_to(CHECKOUT)}:{self.number}"


def of_page(page: Path) -> Iterator[Line]:
    """Yield a page's lines."""
    yield from (Line(page, number, text) for number, text in enumerate(page.read_text().splitlines(), 1))


def of_source(file: Path) -> Iterator[Line]:
    """Yield a Python file's comments and the lines of its docstrings."""
    text = file.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _COMMENT.search(line):
            yield Line(file, number, found[0])
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines = node.value.value.splitlines()
            yield from (Line(file, number, each) for number, each in enumerate(lines, node.lineno))


@cache
def _places() -> dict[str, list[str]]:
    """Return the checkout's files and folders, by each end that a path to them has."""
    found: dict[str, list[str]] = {}
    for path in [*CHECKOUT.iterdir(), *(path for room in ROOMS for path in (CHECKOUT / room).rglob("*"))]:
        parts = path.relative_to(CHECKOUT).parts
        if "__pycache__" not in parts:
            for start in range(len(parts)):
                found.setdefault("/".join(parts[start:]), []).append("/".join(parts))
    return found


def names(line: Line) -> list[str]:
    """Return the files, folders and modules that a line names."""
    return [match[0] for kind in (_FILE, _MODULE) for match in kind.finditer(line.text) if match[0] != "__init__.py"]


def wrong(line: Line) -> list[str]:
    """Return what a line names that is not there: files by their path, or by an end that no other's has; modules."""
    return [found for name in names(line) if (found := _wrong(name, line.file.parent))]


def _wrong(name: str, here: Path) -> str:
    if _MODULE.fullmatch(name):
        return "" if _is_module(name) else name
    places = _places().get(name, ())
    if "/" not in name and len(places) > 1 and name not in places:
        return f"{name} of {len(places)}"
    return "" if places or (here / name).exists() else name


def _is_module(name: str) -> bool:
    """Tell whether a dotted name is a module's, or that of something in one."""
    dotted = f"bootsmith.{name.removeprefix('bootsmith.')}"
    for module, attribute in ((dotted, "__name__"), tuple(dotted.rsplit(".", 1))):
        try:
            return hasattr(import_module(module), attribute)
        except ModuleNotFoundError:
            continue
    return False
