"""A run of stages alone, by `./doitw`: what doit's run does, says and ends with, without doit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.command.stage_run import BROKEN, FAILED, failure
from bootsmith.tasks.errors import StageError

from tests.support.project_changes import SCENARIOS, copy, write
from tests.support.toy_project import ToyProject


def break_code(project: ToyProject) -> None:
    """Let a stage's function end in a bug."""
    project.forks = False
    code = project.top / "toystages.py"
    code.write_text(code.read_text().replace("    count(context)", "    1 / 0", 1))


CHANGES: dict[str, tuple[Callable[[ToyProject], object], int]] = {
    "an edit": (SCENARIOS["input edited"], 0),
    "an edit that is cut off": (SCENARIOS["input edited, early cut-off"], 0),
    "an edit taken back": (SCENARIOS["input reverted"], 0),
    "a file added to a tree": (SCENARIOS["file added to a tree"], 0),
    "an output damaged": (SCENARIOS["output damaged"], 0),
    "an input that is missing": (SCENARIOS["input missing"], FAILED),
    "a tool that is missing": (SCENARIOS["tool missing"], FAILED),
    "a stage that fails": (write("source", "fail\n"), FAILED),
    "a bug": (break_code, BROKEN),
}


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, list[str], str]:
    """Return how a run ended and what it said, without what it took, in no order, and from a traceback its end."""
    text = re.sub(r"Traceback .*\n( .*\n)+", "Traceback\n", done.stdout)
    return done.returncode, sorted(re.sub(r" +\d+\.\d s", " N s", text).splitlines()), done.stderr


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_done_and_said_is_what_doit_would(original: ToyProject, tmp_path: Path, change: str) -> None:
    """The same stages run, the same lines are printed, the status is the same, the same files are there."""
    edit, status = CHANGES[change]
    found = []
    for way in ("doit", "without"):
        project = copy(original, tmp_path / way / "copy")
        assert project.doit("image").returncode == 0  # what lies elsewhere is to be remembered
        before = project.runs()
        edit(project)
        done = project.doit("image") if way == "doit" else project.without_doit("image")
        files = {path.name: path.read_bytes() for path in (project.top / "build/toy").iterdir() if path.is_file()}
        ran = project.runs()[len(before) :]
        code, lines, errors = told(done)
        assert code == status
        where = str(project.top)
        found.append(([line.replace(where, "TOP") for line in lines], errors.replace(where, "TOP"), sorted(ran), files))
        if not status:
            assert project.image() == []  # to doit all is fresh
    assert found[0] == found[1]


def test_a_command_line_may_name_some(original: ToyProject, tmp_path: Path) -> None:
    """Only what is named, and what that needs, is made; files are named where the image is asked for."""
    project = copy(original, tmp_path / "copy")
    project.doit("image")
    SCENARIOS["two edits"](project)
    before = len(project.runs())
    done = project.without_doit("rootfs", "layers/tree")
    assert done.returncode == 0
    assert sorted(project.runs()[before:]) == ["layers/tree", "rootfs"]
    assert "build/" not in done.stdout


def test_what_the_system_refuses_is_told_in_words_and_a_bug_whole() -> None:
    """An OSError is one of our errors, with what to do; anything else is shown with its traceback."""
    refused, bug = failure(PermissionError(13, "Permission denied", "/x"), "rootfs"), failure(KeyError("x"), "rootfs")
    assert isinstance(refused.error, StageError)
    assert refused.message.startswith("rootfs: ")
    assert bug.error is None
    assert "KeyError: 'x'" in bug.message
