"""The types hold, every import is followed, and the checks that say so look at every file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.checkout import copied

PLANTED = {
    "tasks/planted.py": "from bootsmith.cache.digest.key import key\n\nnumber: int = key({})\n",
    "tasks/recipe/strayed.py": (
        "import bootsmith.tasks.absent\nfrom bootsmith.cache.digest.key import lost\nimport misplaced\n"
        "import bootsmith.tasks.planted  # which this checkout has, and no other\n"
    ),
}
"""Files that are wrong: a check that does not complain about them did not look."""


@pytest.fixture(name="house", scope="module")
def fixture_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout with more files in it, which are wrong."""
    house = copied(tmp_path_factory.mktemp("types") / "checkout")
    for name, text in PLANTED.items():
        (house / name).write_text(text)
    return house


def run(house: Path, *words: str | Path) -> str:
    """Run one of the environment's checkers in a checkout; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", *words], check=False, cwd=house, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture(name="complaints", scope="module")
def fixture_complaints(house: Path) -> list[str]:
    """Return what mypy says when it is run as anybody runs it, without a word."""
    return run(house, "mypy").splitlines()


def test_the_check_sees_an_error(complaints: list[str]) -> None:
    """A wrong type in any file of the house fails the check, also across rooms."""
    assert any("tasks/planted.py:3: error: Incompatible types in assignment" in line for line in complaints)


def test_types_hold(complaints: list[str]) -> None:
    """mypy in its strict mode has nothing to say about the house."""
    found = [line for line in complaints if not line.startswith("Found ")]
    assert [line for line in found if "planted.py" not in line and "strayed.py" not in line] == []


@pytest.fixture(name="unfollowed", scope="module")
def fixture_unfollowed(house: Path) -> set[tuple[str, int]]:
    """Return file and line of each import that an editor's resolver cannot follow, told nothing of where things are.

    What is told is only what not to report. Of each module only its imports and names are left: the rest takes minutes.
    """
    quiet = {"typeCheckingMode": "off", "reportMissingImports": True, "reportAttributeAccessIssue": True}
    (house / "pyrightconfig.json").write_text(json.dumps(quiet))
    places = ("tasks", "cache", "tests", "benchmarks", "dodo.py")
    for path in (each for place in places for each in [house / place, *(house / place).rglob("*")]):
        if path.suffix == ".py":
            path.write_text(emptied(path.read_text()))
    said = run(house, "basedpyright", "--outputjson", "--pythonpath", sys.executable, *places)
    assert said.lstrip().startswith("{"), said
    told = json.loads(said)
    assert told["summary"]["filesAnalyzed"] > 1
    return {
        (str(Path(each["file"]).relative_to(house)), each["range"]["start"]["line"] + 1)
        for each in told["generalDiagnostics"]
        if each["rule"] == "reportMissingImports" or "is unknown import symbol" in each["message"]
    }


def emptied(source: str) -> str:
    """Return a module of which nothing is left but its imports and names."""
    return ast.unparse(ast.Module(list(_emptied(ast.parse(source).body)), []))


def _emptied(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for part in body:
        match part:
            case ast.Import() | ast.ImportFrom():
                yield part
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield ast.ClassDef(name, [], [], [*_emptied(part.body), ast.Pass()], [])
            case ast.If(test=test):
                yield ast.If(test, [*_emptied(part.body), ast.Pass()], list(_emptied(part.orelse)))
            case ast.Assign() | ast.AnnAssign():
                for each in ast.walk(part):
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                        yield ast.Assign([each], ast.Constant(None), lineno=0)
            case _:
                yield from _emptied(each for each in ast.iter_child_nodes(part) if isinstance(each, ast.stmt))


def test_imports_are_followed(unfollowed: set[tuple[str, int]]) -> None:
    """Going to a definition works in any editor that knows pyright, with no configuration; a lost import is seen."""
    assert unfollowed == {("tasks/recipe/strayed.py", line) for line in (1, 2, 3)}
