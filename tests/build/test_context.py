"""What a running stage sees: what it declared, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.build import running
from bootsmith.tasks.build.context import StageContext
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import catalogue
from bootsmith.tasks.tools.tool import Tool, packaged


def context(work: Path, **declared: object) -> StageContext:
    """Return the context of a stage that declares this."""
    stage = Stage("x", "m:f", {}, {})._replace(**declared)  # type: ignore[arg-type]
    return running.context(stage, {}, work, lambda: pytest.fail("nothing is fetched"))


def test_only_declared_programs_can_be_run(tmp_path: Path) -> None:
    """What is run and not declared would be in no key: a bug, told at once, and where it is declared it runs."""
    with pytest.raises(AssertionError, match="x runs 'gzip', which it does not declare"):
        context(tmp_path).run("gzip", "--version")
    with pytest.raises(AssertionError, match="does not declare"):
        context(tmp_path, tools=("xz",)).tool("gzip")
    assert b"gzip" in context(tmp_path, tools=("gzip",)).run("gzip", "--version").stdout


def test_programs_see_nothing_of_the_hosts_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same variables everywhere, time and language among them; the time that files get where the stage has one."""
    monkeypatch.setenv("GZIP", "--none-of-its-business")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setitem(catalogue.TOOLS, "sh", Tool("sh", "this test", packaged("dash")))
    shown = context(tmp_path, tools=("sh",), params={"epoch": 7}).run("sh", "-c", "env", env={"MINE": "1"}).stdout
    found = dict(line.split("=", 1) for line in shown.decode().splitlines())
    assert {name: found.get(name) for name in ("LC_ALL", "TZ", "SOURCE_DATE_EPOCH", "MINE")} == {
        "LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": "7", "MINE": "1",
    }  # fmt: skip
    assert (found["HOME"], found["TMPDIR"]) == (str(tmp_path), str(tmp_path))
    assert "GZIP" not in found


def test_only_declared_secrets_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By role; one that is not there any more is said in words."""
    monkeypatch.setenv("WORD", "hunter2")
    made = context(tmp_path, secrets={"key": Secret(env="WORD")})
    assert made.secret("key") == b"hunter2"
    with pytest.raises(KeyError):
        made.secret("other")
    monkeypatch.delenv("WORD")
    with pytest.raises(StageError, match="x: the secret for key is the environment variable WORD, which is not set"):
        made.secret("key")
