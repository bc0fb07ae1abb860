"""What one process knows of code and files: a stage's code is what it says, and what runs is that."""

from __future__ import annotations

import os
import py_compile
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError

STAGE = Stage("x", "made_of:run", {}, {}, loads=("loaded_by_name",))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path with three modules, of which the stage is made of two."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("made_of", "loaded_by_name", "of_nobody"):
        (tmp_path / f"{name}.py").write_text("def run(context):\n    return 'one'\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def edit(folder: Path, name: str) -> None:
    """Change what a module does."""
    (folder / f"{name}.py").write_text("def run(context):\n    return 'another'\n")


def result(function: Callable[..., object]) -> object:
    """Return what a stage's function gives."""
    return function(None)


@pytest.mark.parametrize(("name", "counts"), [("made_of", True), ("loaded_by_name", True), ("of_nobody", False)])
def test_a_stages_code_is_what_it_runs_and_loads(folder: Path, tmp_path: Path, name: str, counts: bool) -> None:
    """Another module is another identity; one that the stage neither runs nor loads is none of it."""
    before = Identities(tmp_path / "cache").code(STAGE)
    edit(folder, name)
    assert (Identities(tmp_path / "cache").code(STAGE) != before) is counts


def test_sources_are_looked_at_once_unless_asked_again(folder: Path, tmp_path: Path) -> None:
    """All stages of one run have one code; whether it was edited meanwhile is asked at a stage's end."""
    identities = Identities(tmp_path / "cache")
    before = identities.code(STAGE)
    edit(folder, "made_of")
    assert identities.code(STAGE) == before
    assert identities.code(STAGE, reread=True) != before


def test_what_runs_is_what_the_key_says(folder: Path, tmp_path: Path) -> None:
    """An edit that Python's own check does not see runs all the same; where the old code runs already, it is said."""
    source = folder / "made_of.py"
    py_compile.compile(str(source))
    before = source.stat()
    source.write_text(source.read_text().replace("one", "two"))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert result(Identities(tmp_path / "cache").load(STAGE)) == "two"
    py_compile.compile(str(source))
    source.write_text(source.read_text().replace("two", "six"))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StageError, match="made_of changed while it was being loaded"):
        Identities(tmp_path / "cache").load(STAGE)


def test_what_is_kept_is_found_by_its_name(tmp_path: Path) -> None:
    """Beside what was kept there is nothing: neither under another name, nor where nothing could be kept."""
    identities = Identities(tmp_path / "cache")
    name = identities.keep({"b": 1, "a": [2]})
    assert identities.kept(name) == {"a": [2], "b": 1}
    assert name == identities.keep({"a": [2], "b": 1})
    assert identities.kept("0" * 32) is None
    assert identities.kept(None) is None
