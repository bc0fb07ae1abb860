"""Compiled code that Python would take for current."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
import time
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from bootsmith.cache.digest.bytecode import compile_below, discard_stale
from bootsmith.cache.files import clock


def edit_unseen(path: Path, text: str) -> None:
    """Write other text of the same size, leaving the time Python compares."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_code_of_another_source_is_removed(tmp_path: Path) -> None:
    """An edit that Python's own check does not see is found by comparing code."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    py_compile.compile(str(module))
    edit_unseen(module, "value = 2\n")
    compiled = Path(cache_from_source(str(module)))
    assert discard_stale({"module": module}) == ["module"]
    assert not compiled.exists()
    assert discard_stale({"module": module}) == []


def test_code_that_was_written_after_its_source_was_edited_is_looked_into(tmp_path: Path) -> None:
    """Another process read the source before the edit, and wrote what it compiled after it: younger, and stale."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    py_compile.compile(str(module))
    edit_unseen(module, "value = 2\n")
    later = time.time() + 60
    os.utime(cache_from_source(str(module)), (later, later))
    assert discard_stale({"module": module}) == ["module"]


@pytest.mark.parametrize("rested", [True, False])
def test_code_is_looked_into_once_its_source_rests(
    tmp_path: Path, rested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found current is known by its time until its source changes, and only if a change then shows."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    compiled = Path(py_compile.compile(str(module)) or "")
    clock.rest_until(clock.marked(module.stat()))
    if not rested:
        monkeypatch.setattr(clock, "marked", lambda status: status.st_ctime_ns + 60 * clock.SECOND)
    assert discard_stale({"module": module}) == []
    known = compiled.stat()
    compiled.write_bytes(compiled.read_bytes()[:16] + b"garbage that is no code")
    os.utime(compiled, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert discard_stale({"module": module}) == ([] if rested else ["module"])
    if not rested:
        return
    edit_unseen(module, "value = 1\n")
    assert discard_stale({"module": module}) == ["module"]


def test_code_of_the_present_source_stays(tmp_path: Path) -> None:
    """A source whose times changed and nothing else keeps its compiled file."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    py_compile.compile(str(module))
    compiled = Path(cache_from_source(str(module)))
    edit_unseen(module, "value = 1\n")
    assert discard_stale({"module": module}) == []
    assert compiled.exists()


def test_damaged_code_is_removed(tmp_path: Path) -> None:
    """What Python would load and cannot read as code is not current."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    py_compile.compile(str(module))
    compiled = Path(cache_from_source(str(module)))
    compiled.write_bytes(compiled.read_bytes()[:16] + b"garbage that is no code")
    edit_unseen(module, "value = 1\n")
    assert discard_stale({"module": module}) == ["module"]
    assert not compiled.exists()


def test_code_that_python_would_not_run_is_nobodys_trouble(tmp_path: Path) -> None:
    """An ordinary edit is seen by Python itself: its old compiled file may stay."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    py_compile.compile(str(module))
    module.write_text("value = 12\n")
    assert discard_stale({"module": module}) == []
    assert Path(cache_from_source(str(module))).exists()


def test_code_made_ahead_is_not_run_for_another_source(tmp_path: Path) -> None:
    """Compiled right after an edit, a module that is edited again within that second runs as it is written now."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    compile_below([tmp_path])
    compiled = Path(cache_from_source(str(module)))
    assert compiled.exists()
    edit_unseen(module, "value = 2\n")
    run = [sys.executable, "-B", "-c", "import module; print(module.value)"]
    assert subprocess.run(run, check=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout == "2\n"
    assert discard_stale({"module": module}) == []
    assert compiled.exists()


def test_code_made_ahead_is_found_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a source that nobody edits just now no start reads more than the time; older compiled code is replaced."""
    module = tmp_path / "module.py"
    module.write_text("value = 1\n")
    py_compile.compile(str(module))
    edit_unseen(module, "value = 2\n")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)
    compile_below([module])
    assert Path(cache_from_source(str(module))).read_bytes()[4:8] == bytes(4)
    assert discard_stale({"module": module}) == []


def test_code_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    """Where there is no place for compiled code, or a source is none, the rest is compiled all the same."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").touch()
    (tmp_path / "a/__pycache__").touch()
    (tmp_path / "b/broken.py").write_text("this is no Python\n")
    compile_below([tmp_path, tmp_path / "missing.py"])
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["module"]
