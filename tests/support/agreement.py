"""Whether all that speak of a toy project's next run agree: explain, `list -s`, the start before doit, and the run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.toy_project import ToyProject

LETTERS = {"fresh": "U", "depends": "D", "restore": "S", "build": "R"}
HAPPENED = {"fresh": "fresh", "restore": "restored", "build": "built"}


def explained(project: ToyProject, *words: str) -> dict[str, dict[str, Any]]:
    """Return what `doit WORDS explain --json` says of each stage; it must change nothing in the build directory."""
    before = _state(project.top / "build")
    done = project.doit(*words, "explain", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _state(project.top / "build") == before
    found = json.loads(done.stdout)
    assert found["version"] == 1
    return {each["stage"]: each for each in found["stages"]}


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and mtime of everything below a folder, but doit's own database, be it one that was put aside."""
    found = [path for path in folder.rglob("*") if path.name not in (".doit.json", ".doit.broken")]
    return {str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in found}


def run(project: ToyProject, *words: str) -> tuple[dict[str, str], str]:
    """Run `doit WORDS image`; return what was done for each stage, and all it said."""
    done = project.doit(*words, "image")
    return _happened(done), done.stdout + done.stderr


def _happened(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    lines = [line.split() for line in done.stdout.splitlines()]
    return {words[1]: words[0] for words in lines if len(words) > 1 and words[0] in {*HAPPENED.values(), "failed"}}


def agree(project: ToyProject, *words: str) -> bool:
    """Ask before doit is loaded, then run doit: if all is fresh, both say so, line by line. Return whether it was."""
    asked = project.before_doit(*words)
    before = project.runs()
    return _same_answer(project, asked, before, project.doit(*words))


def _same_answer(
    project: ToyProject, asked: str | None, before: list[str], done: subprocess.CompletedProcess[str]
) -> bool:
    """Compare what was told before doit was loaded with doit's own run; return whether all was fresh."""
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    fresh = done.returncode == 0 and all(line.startswith(("fresh ", "build/")) for line in lines)
    assert (asked is not None) == fresh, f"before doit: {asked}\ndoit: {done.stdout}{done.stderr}"
    if asked is not None:
        assert project.runs() == before
        assert done.stderr == ""
        assert sorted(asked.splitlines()) == sorted(lines)
        assert asked.splitlines()[-1] == lines[-1]
    return fresh


def check(project: ToyProject, *words: str) -> dict[str, str]:
    """Ask before doit is loaded, explain, list and run: what was told must be what is done. Return the verdicts."""
    asked = None if words else project.before_doit("image")
    told = explained(project, *words)
    variables = [word for word in words if "=" in word]
    lines = project.doit(*variables, "list", "-s", "--all").stdout.splitlines()
    listed = {line.split()[1]: line[0] for line in lines}
    before = project.runs()
    done = project.doit(*words, "image")
    happened, said = _happened(done), done.stdout + done.stderr
    assert "Traceback" not in said
    refused = done.returncode == 1 and not happened  # what is in the way of an output is said before anything is made
    verdicts = {name: each["verdict"] for name, each in told.items()}
    if refused:
        assert asked is None
        assert any(each["fails"] and each["fails"].splitlines()[0] in said for each in told.values()), said
        return verdicts
    for name, each in told.items():
        if "-a" not in words:
            assert listed[name] == LETTERS[each["verdict"]]
        assert each["reasons"] or each["verdict"] == "fresh"
        if each["fails"]:
            assert happened.get(name, "failed") == "failed", said
        elif each["verdict"] == "depends":
            assert {told[waited]["verdict"] for waited in each["depends"]} <= {"build", "depends"}
        elif name in happened or "failed" not in happened.values():
            assert happened.get(name) == HAPPENED[each["verdict"]], f"{name} was to be {each['verdict']}\n{said}"
    failures = [each["fails"].splitlines()[0] for each in told.values() if each["fails"]]
    assert ("failed" in happened.values()) == bool(failures)
    if failures:
        assert any(failure in said for failure in failures)
    else:
        assert set(happened) == set(told)
        assert {each["verdict"] for each in explained(project, *variables).values()} == {"fresh"}
    if not words:
        fresh = _same_answer(project, asked, before, done)
        assert fresh == (set(verdicts.values()) == {"fresh"})
    return verdicts
