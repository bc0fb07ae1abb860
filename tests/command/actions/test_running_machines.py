"""machines, stop: what runs is told, and who is meant is ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator

import pytest
from bootsmith.tasks.command.actions import machines, running_machines
from bootsmith.tasks.errors import BootsmithError, UsageError
from bootsmith.tasks.machine import running

from tests.command.actions.conftest import Calls
from tests.support import other_process

HOLDER = """
import os, sys
from pathlib import Path
from bootsmith.tasks.machine import running
recipe = Path(sys.argv[2]) if sys.argv[2] else None
with running.note(Path(sys.argv[1]), running.Noted(recipe, "disk.img", None, None, os.getpid(), ports=((2222, 22),))):
    print("noted", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(name="processes")
def fixture_processes(call: Calls) -> Iterator[list[subprocess.Popen[str]]]:
    """Two machines that other processes run: one of box.yaml, and one of a file."""
    with contextlib.ExitStack() as stack:
        found = []
        for recipe in (str(call.top / "box.yaml"), ""):
            process = stack.enter_context(other_process.start(HOLDER, machines.register(call("stop")), recipe))
            assert process.stdout is not None
            assert process.stdout.readline() == "noted\n"
            found.append(process)
        yield found
        for process in found:
            process.kill()


def test_what_runs_is_told(call: Calls, processes: list[subprocess.Popen[str]]) -> None:
    """Name, since when, process, ports and recipe, for people and as JSON; nothing where nothing runs (A12)."""
    running_machines.machines(call("machines"))
    newest, oldest = call.said.splitlines()
    assert newest.split("  ")[0] == "disk.img"
    assert [each.strip() for each in oldest.split("  ") if each] == [
        "box", "just now", f"process {processes[0].pid}, on a terminal", "2222->22", "box.yaml",
    ]  # fmt: skip
    running_machines.machines(call("machines", json=True))
    told = json.loads(call.said.partition("\n{")[2].join(("{", "")))
    assert [each["name"] for each in told["machines"]] == ["disk.img", "box"]
    for process in processes:
        process.kill()
        process.wait()
    running_machines.machines(call("machines"))
    assert call.said.splitlines()[-1] == "no machine runs here"


def test_who_is_named_is_stopped(call: Calls, processes: list[subprocess.Popen[str]]) -> None:
    """And nobody else; where one runs, no name is needed."""
    with pytest.raises(UsageError, match="2 machines run here") as refused:
        running_machines.stop(call("stop"))
    assert "disk.img, box" in refused.value.hint
    with pytest.raises(BootsmithError, match="no machine bx runs here") as missed:
        running_machines.stop(call("stop", "bx"))
    assert missed.value.exit_code == 1
    running_machines.stop(call("stop", "box"))
    assert processes[0].wait() != 0
    assert [each.name for each in running.find(machines.register(call("stop")))] == ["disk.img"]
    running_machines.stop(call("stop"))
    assert call.said.splitlines() == ["box has ended", "disk.img has ended"]
    running_machines.stop(call("stop", all=True))
    assert call.said.splitlines()[-1] == "no machine runs here"


def test_all_are_stopped(call: Calls, processes: list[subprocess.Popen[str]]) -> None:
    """By force, where that is asked for; a recipe's name stands for its machines."""
    with pytest.raises(UsageError, match="--all and a name exclude each other"):
        running_machines.stop(call("stop", "box", all=True))
    for wrong in ("soon", "nan", "inf", "-1", "1e12"):
        with pytest.raises(UsageError, match=f"--timeout {wrong}: not a number of seconds"):
            running_machines.stop(call("stop", "box", timeout=wrong))
    running_machines.stop(call("stop", recipe="box", now=True))
    assert processes[0].wait() == -9
    running_machines.stop(call("stop", all=True, now=True))
    assert processes[1].wait() == -9
