"""The walls of the house: who may import what, and what stands in no file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

HOUSE = ("src/bootsmith/__init__.py", "dodo.py", "tasks", "cache")
PROJECT = (*HOUSE, "tests", "benchmarks", "recipes", "docs", ".ci", "doitw", "pyproject.toml", "requirements.txt")

ROOMS = (
    *("cache.display", "cache.errors", "cache.files", "cache.digest", "cache.store", "cache.keep", "cache.report"),
    *("tasks.errors", "tasks.tools", "tasks.build", "tasks.recipe", "tasks.tree", "tasks.disk", "tasks.boot"),
    *("tasks.packages", "tasks.machine", "tasks.writeback", "tasks.inspection", "tasks.planning", "tasks.command"),
)
"""The rooms from the ground up: each imports from itself and from those before it, never from one behind it."""

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
    "urllib3",
    "backports.zstd",
    "bootsmith.cache.store.store",
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


def room(module: str) -> str:
    """Return the room that a module of ours, such as tasks.disk.gpt, stands in; its own name for one in no room."""
    return next((each for each in ROOMS if f"{module}.".startswith(f"{each}.")), module)


def house() -> dict[str, dict[str, str]]:
    """Return what each module of the house imports of it, and where it says so: module -> module -> file:line."""
    names = {
        ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules("tasks", "cache")
    }
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for name, path in names.items():
        for line, imported in imports(path):
            inner = imported.removeprefix("bootsmith.")
            target = inner if inner in names else inner.rpartition(".")[0]
            if inner != imported and target in names and target != name:
                found[name].setdefault(target, where(path, line))
    return found


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return what imports each other, directly or through others: groups of two and more."""
    reach = {name: {*targets} for name, targets in graph.items()}
    for middle in graph:
        for targets in reach.values():
            if middle in targets:
                targets.update(reach[middle])
    groups = {tuple(sorted(b for b in targets if a in reach[b])) for a, targets in reach.items() if a in targets}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def levels(graph: Mapping[str, Iterable[str]]) -> dict[str, dict[str, set[str]]]:
    """Return, for each folder, which of the files and folders in it import from which others of them."""
    found: dict[str, dict[str, set[str]]] = {}
    for name, targets in graph.items():
        for target in targets:
            one, other = name.split("."), target.split(".")
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
            if shared < min(len(one), len(other)):  # a package's own file is no neighbour of what it holds
                level = found.setdefault(".".join(one[:shared]), {})
                level.setdefault(one[shared], set()).add(other[shared])
                level.setdefault(other[shared], set())
    return found


def test_only_the_engine_imports_doit() -> None:
    """The first wall: doit can be exchanged by rewriting one room."""
    found = importers("doit")
    assert found
    assert all(path.startswith("tasks/command/engine/") for path in found)


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
        and path != CHECKOUT / "cache/files/encoding.py"  # which starts no other program, but this one anew
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


def test_passing_folders_are_those_that_are_swept() -> None:
    """A folder of tempfile's own stays for ever where who made it is killed: cache/files/temporary.py has another."""
    found = [
        where(path, node.lineno)
        for path in modules(*HOUSE)
        if path != CHECKOUT / "cache/files/temporary.py"
        for node in ast.walk(tree(path))
        if "TemporaryDirectory" in (getattr(node, "id", ""), getattr(node, "attr", ""))
        or getattr(node, "attr", "") == "mkdtemp"
    ]
    assert found == []


def test_no_room_imports_from_one_above() -> None:
    """Imports run down the order of rooms: who reads a room need not know any that stands above it."""
    order = {name: level for level, name in enumerate(ROOMS)}
    upward = [
        f"{line}: {target}"
        for name, targets in house().items()
        for target, line in targets.items()
        if room(name) in order and order.get(room(target), len(ROOMS)) > order[room(name)]
    ]
    assert upward == []


def test_nothing_imports_in_a_circle() -> None:
    """In no folder do files, or folders, import each other in a circle, type checkers' imports included."""
    found = {folder: cycles(graph) for folder, graph in levels(house()).items()}
    assert {folder: each for folder, each in found.items() if each} == {}


@pytest.mark.parametrize(
    ("graph", "circle"),
    [
        ({"tasks.disk.gpt": ["tasks.tree.tar"], "tasks.tree.tar": ["tasks.disk.mbr"]}, {"tasks": [["disk", "tree"]]}),
        (
            {"tasks.disk.gpt": ["tasks.disk.mbr"], "tasks.disk.mbr": ["tasks.disk.gpt"]},
            {"tasks.disk": [["gpt", "mbr"]]},
        ),
        (
            {"tasks.disk.ext.inode": ["tasks.disk.fat"], "tasks.disk.fat": ["tasks.disk.ext.files"]},
            {"tasks.disk": [["ext", "fat"]]},
        ),
        ({"tasks.disk.gpt": ["tasks.tree.tar"], "tasks.disk.mbr": ["tasks.disk.gpt"]}, {}),
    ],
    ids=["rooms", "modules", "a room within a room", "none"],
)
def test_a_circle_would_be_seen(graph: dict[str, list[str]], circle: dict[str, list[list[str]]]) -> None:
    """The look at circles tells one between rooms, one between modules, and that there is none."""
    found = {folder: cycles(level) for folder, level in levels(graph).items()}
    assert {folder: each for folder, each in found.items() if each} == circle


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
    loads = "bootsmith.tasks.command.start, bootsmith.tasks.command.session"
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
    """A test file stands where what it tests stands; what tests the whole, or the project itself, has its own rooms."""
    own = {Path("system"), Path("house")}
    orphans = [
        str(path.relative_to(CHECKOUT))
        for path in modules("tests")
        if path.name.startswith("test_")
        for folder in [path.parent.relative_to(CHECKOUT / "tests")]
        if folder not in own and not any((CHECKOUT / each).is_dir() for each in (f"tasks/{folder}", folder))
    ]
    assert orphans == []


def test_what_declares_a_stage_and_what_it_runs_share_no_name() -> None:
    """Who is told of populate.py or filesystems.py knows at once whether that is the plan or the work."""
    rooms = ("tree", "disk", "boot", "packages", "machine", "writeback")
    works = {path.name for each in rooms for path in modules(f"tasks/{each}")} - {"__init__.py"}
    assert [path.name for path in modules("tasks/planning") if path.name in works] == []
