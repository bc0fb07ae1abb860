"""Builds that are killed, and builds that meet."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.toy_project import ALL, ToyProject


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[tuple[ToyProject, subprocess.Popen[str], list[psutil.Process]]]:
    """A project, a doit that is in the middle of its first stage, and the processes below it."""
    project = ToyProject.make(tmp_path)
    fifo = tmp_path / "runs.fifo"
    os.mkfifo(fifo)
    doit = project.start("image")
    assert fifo.read_text() == "started\n"  # opening it waits for the tool
    fifo.unlink()
    below = psutil.Process(doit.pid).children(recursive=True)
    assert below
    yield project, doit, below
    if doit.poll() is None:
        doit.kill()
    doit.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_outlives_a_killed_doit(
    busy: tuple[ToyProject, subprocess.Popen[str], list[psutil.Process]], number: signal.Signals
) -> None:
    """Its tools die with it, and the next plain run ends as if nothing had happened (L11)."""
    project, doit, below = busy
    doit.send_signal(number)
    _, errors = doit.communicate(timeout=30)
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive
    if number != signal.SIGKILL:
        assert doit.returncode == 128 + number
        assert "interrupted" in errors
        assert "Traceback" not in errors
    assert "rootfs" in project.image()
    assert project.image() == []
    assert not list((project.top / "build/toy/.bootsmith").glob("tmp/*"))
    assert project.disk().startswith("FIRST LINE")


PLANNING = "top, stem = session.top, file.stem\n    "
LOG = "\nfrom bootsmith.tasks.command.actions import past_builds\npast_builds.log = lambda _request: wait()\n"
WAIT = "\ndef wait():\n    open('waiting', 'w').close()\n    open('waiting').read()\n"


@pytest.mark.parametrize("entry", ["doit", "bootsmith.tasks.command.start"])
@pytest.mark.parametrize("doing", ["planning", "command"])
def test_ctrl_c_before_anything_is_built_is_no_traceback(tmp_path: Path, entry: str, doing: str) -> None:
    """While packages are resolved, and while a command starts, it ends in a word and by the status of that signal."""
    project = ToyProject.make(tmp_path)
    project.entry = entry
    fifo = tmp_path / "waiting"
    os.mkfifo(fifo)
    plan = tmp_path / "toyplan.py"
    text = plan.read_text()
    assert PLANNING in text
    plan.write_text(
        text.replace(PLANNING, f"{PLANNING}wait()\n    ") + WAIT if doing == "planning" else text + LOG + WAIT
    )
    doit = project.start("image" if doing == "planning" else "log")
    fifo.read_text()  # opening it waits for doit
    doit.send_signal(signal.SIGINT)
    said, errors = doit.communicate(timeout=30)
    assert (doit.returncode, said) == (130, "")
    assert errors.startswith("interrupted")
    assert errors.count("\n") == 1


def test_a_second_build_waits_and_says_for_whom(
    busy: tuple[ToyProject, subprocess.Popen[str], list[psutil.Process]],
) -> None:
    """Two builds in one tree: the second waits, names the first, and then has nothing left to do wrong."""
    project, first, _ = busy
    second = project.start("image")
    assert second.stdout is not None
    said = second.stdout.readline()
    assert said.startswith("waiting for ")
    assert str(first.pid) in said
    looked = project.doit("info", "rootfs")  # looking takes no lock
    assert "rootfs" in looked.stdout
    first.kill()
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert project.image() == []


def test_builds_in_two_folders_do_not_meet(
    busy: tuple[ToyProject, subprocess.Popen[str], list[psutil.Process]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another folder builds while this one is busy, with the same cache (W9)."""
    project, _, _ = busy
    other = ToyProject.make(tmp_path_factory.mktemp("other"), cache=project.cache)
    (other.top / "source").write_text("another line\n")
    assert set(other.image()) == set(ALL) - {"layers/tree"}  # that one the first build has finished, and stored


def test_a_run_with_nothing_to_do_clears_away_what_a_killed_one_left_in_the_store(tmp_path: Path) -> None:
    """A draft of a dead process in the cache does not stay until something is stored again."""
    project = ToyProject.make(tmp_path)
    project.image()
    left = project.cache / "tmp/.tmp-0123456789abcdef"
    left.write_bytes(b"half")
    assert project.image() == []
    assert not left.exists()
