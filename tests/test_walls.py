"""The walls of the house: who may import what, and what stands in no file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
HOUSE = ("src/bootsmith/__init__.py", "dodo.py", "tasks", "cache")
PROJECT = (*HOUSE, "tests", "benchmarks", "recipes", "docs", ".ci", "doitw", "pyproject.toml")

FLOORS = (
    ("cache",),
    ("tasks.errors", "tasks.secret", "tasks.stage", "tasks.site", "tasks.recipe", "tasks.tools"),
    ("tasks.context", "tasks.tree", "tasks.disk", "tasks.boot", "tasks.machine"),
    ("tasks.plan", "tasks.stages", "tasks.intake"),
    ("tasks",),
)
"""The floors from the ground up: a module imports from its own floor and those below it, never from above."""

RUNS_PROGRAMS = {"subprocess", "pty", "multiprocessing", "asyncio.subprocess"}
RUNNING = re.compile(r"os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawn\w*)")
SLOW = (
    "doit",
    "yaml",
    "psutil",
    "subprocess",
    "tarfile",
    "ctypes",
    "hashlib",
    "asyncio",
    "sqlite3",
    "urllib.request",
    "backports.zstd",
    "bootsmith.cache.store",
    "dataclasses",
    "inspect",
    "tomllib",
)


def files(*places: str) -> Iterator[Path]:
    """Yield the project's text files in the places named."""
    for place in places:
        path = CHECKOUT / place
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (each for each in found if each.is_file() and "__pycache__" not in each.parts)


def modules(*places: str) -> list[Path]:
    """Return the project's Python files in the places named."""
    found = [path for path in files(*places) if path.suffix == ".py"]
    assert found
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_bytes())


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything a file imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def where(path: Path, line: int) -> str:
    """Return how a place in a file is called."""
    return f"{path.relative_to(CHECKOUT)}:{line}"


def importers(name: str) -> set[str]:
    """Return the house's files that import a module or anything in it."""
    return {
        str(path.relative_to(CHECKOUT))
        for path in modules(*HOUSE)
        for _, imported in imports(path)
        if f"{imported}.".startswith(f"{name}.")
    }


def floor(module: str) -> int:
    """Return the floor that a module of ours, such as tasks.disk.gpt, stands on."""
    rooms = [
        (len(room), level)
        for level, rooms in enumerate(FLOORS)
        for room in rooms
        if f"{module}.".startswith(f"{room}.")
    ]
    return max(rooms)[1]


def test_only_the_engine_imports_doit() -> None:
    """The first wall: doit can be exchanged by rewriting one room."""
    found = importers("doit")
    assert found
    assert all(path.startswith("tasks/engine/") for path in found)


def test_only_the_cache_imports_xxhash() -> None:
    """The second wall: what a fingerprint is stands in one room."""
    found = importers("xxhash")
    assert found
    assert all(path.startswith("cache/") for path in found)


def test_only_tools_run_programs() -> None:
    """The third wall: every program runs walled off, by a list of words."""
    outside = [
        f"{where(path, line)}: {name}"
        for path in modules(*HOUSE)
        if not path.is_relative_to(CHECKOUT / "tasks/tools")
        for line, name in [*imports(path), *attributes(path)]
        if RUNNING.fullmatch(name) or any(f"{name}.".startswith(f"{each}.") for each in RUNS_PROGRAMS)
    ]
    assert outside == []


def attributes(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of every attribute of os that a file uses."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            yield node.lineno, f"os.{node.attr}"


def test_no_program_is_run_by_a_shell_line() -> None:
    """Words are never put together into a line for a shell to take apart again."""
    found = [
        where(path, node.lineno)
        for path in modules(*HOUSE, "tests", "benchmarks")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess.")
        if any(keyword.arg == "shell" for keyword in node.keywords)
    ]
    assert found == []


def test_no_module_imports_from_a_floor_above() -> None:
    """dodo -> tasks -> plan -> {tree, disk, boot, machine} -> {recipe, tools, stage} -> cache, and never back up."""
    upward = []
    for path in modules("tasks", "cache"):
        module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
        for line, name in imports(path):
            inner = name.removeprefix("bootsmith.")
            if inner != name and floor(inner) > floor(module):
                upward.append(f"{where(path, line)}: {name}")
    assert upward == []


def test_the_house_is_imported_by_its_name() -> None:
    """Everything of ours is imported as bootsmith.*: by another name it would be another module."""
    rooms = {"tasks", "cache", "recipes"}
    found = [
        f"{where(path, line)}: {name}"
        for path in modules(*HOUSE, "tests", "benchmarks")
        for line, name in imports(path)
        if name.partition(".")[0] in rooms
    ]
    assert found == []


def test_planning_loads_nothing_slow() -> None:
    """What a build with nothing to do imports stays small: slow modules are imported where they are used."""
    loads = "bootsmith.tasks.start, bootsmith.tasks.session"
    program = f"import sys, {loads}; print(*(name for name in {SLOW} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == []


REGISTRY = (
    r"\b(?:deb|security|archive|snapshot|ftp|cdn|mirrors?|registry|files|index)\.(?:[\w-]+\.)*"
    r"(?:debian|ubuntu|kernel|fedoraproject|archlinux|alpinelinux|pypi|pythonhosted|npmjs)\.\w+"
    r"|\bpypi\.\w+|pythonhosted\.org|npmjs\.\w+|dl-cdn\.\w+"
)
OWN = (str(CHECKOUT), str(Path.home()) if len(Path.home().parts) > 2 else str(CHECKOUT))
WORKPLACE = r"/Users/\w|" + "|".join(re.escape(place) + r"\b" for place in OWN)


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("a package registry or mirror", REGISTRY), ("a place on its author's machine", WORKPLACE)],
    ids=["mirrors", "workplaces"],
)
def test_no_file_names(what: str, pattern: str) -> None:
    """The project is the same for everybody: no file names a mirror to use, nor where somebody keeps things."""
    found = []
    for path in files(*PROJECT, *(each.name for each in CHECKOUT.glob("*.md"))):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{where(path, number)}: {what}: {line.strip()}")
    assert found == []


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring that states the behaviour a user can rely on."""
    silent = [
        where(path, node.lineno)
        for path in modules("tests")
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_tests_mirror_the_house() -> None:
    """A test file stands where what it tests stands, under the same name."""
    extra = {"test_walls", "test_types", "test_packaging", "test_doitw"}
    orphans = [
        str(path.relative_to(CHECKOUT))
        for path in modules("tests")
        if path.name.startswith("test_") and path.stem not in extra
        for room in [path.parent.relative_to(CHECKOUT / "tests")]
        if room != Path() and room != Path("cache") and not (CHECKOUT / "tasks" / room).is_dir()
    ]
    assert orphans == []
