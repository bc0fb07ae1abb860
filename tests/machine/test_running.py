"""Running machines are found by their notes, and dead ones are not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bootsmith.tasks.machine import running
from bootsmith.tasks.machine.running import Noted

from tests.support.checkout import CHECKOUT

HOLDER = """
import sys
from pathlib import Path
from bootsmith.tasks.machine import running
with running.note(Path(sys.argv[1]), running.Noted(None, "x", 1, Path("/key"), 0)):
    print("noted", flush=True)
    sys.stdin.read()
"""


def noted(port: int) -> Noted:
    return Noted(Path("/r/minimal.yaml"), "minimal.raw", port, Path("/b/ssh_key"), os.getpid())


def notes(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != ".lock"]


def test_a_machine_is_found_while_it_runs(tmp_path: Path) -> None:
    """Notes are there as long as their machines, the newest first (A12)."""
    assert running.find(tmp_path) == []
    with running.note(tmp_path, noted(2222)) as first:
        with running.note(tmp_path, noted(2223)) as second:
            assert running.find(tmp_path) == [second, first]
            assert (second.recipe, second.port, second.key) == (noted(1).recipe, 2223, noted(1).key)
        assert running.find(tmp_path) == [first]
    assert running.find(tmp_path) == []
    assert notes(tmp_path) == []


def test_each_machine_has_a_name_of_its_own(tmp_path: Path) -> None:
    """That of its recipe, or of what it runs, or the one asked for; a number follows where another has it (A12)."""
    with contextlib.ExitStack() as stack:

        def name(machine: Noted) -> str:
            return stack.enter_context(running.note(tmp_path, machine)).name

        own = replace(noted(1), started=False)
        with running.note(tmp_path, own):  # what announces a machine takes no name from it
            assert name(noted(1)) == "minimal"
        assert name(noted(2)) == "minimal-2"
        assert name(replace(noted(3), recipe=None)) == "minimal.raw"
        assert name(replace(noted(3), recipe=None, what="run-bios some/Disk of mine\n.img")) == "mine-.img"
        assert name(replace(noted(4), name="box")) == "box"
        assert name(replace(noted(5), name="../..")) == "machine"
    assert running.find(tmp_path) == []


def test_a_process_id_of_another_container_is_told(tmp_path: Path) -> None:
    """It is some other process here."""
    with running.note(tmp_path, noted(1)) as one:
        assert running.has_our_numbers(one)
        assert not running.has_our_numbers(replace(one, space=one.space + 1))


def test_a_killed_machine_s_note_counts_no_more(tmp_path: Path) -> None:
    """A run that was killed leaves a note; nobody holds it, so it is removed, whoever has its process id now (A12)."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "noted\n"
        assert [each.what for each in running.find(tmp_path)] == ["x"]
        holder.send_signal(signal.SIGKILL)
    assert len(notes(tmp_path)) == 1
    assert running.find(tmp_path) == []
    assert notes(tmp_path) == []


def test_the_next_run_clears_notes_away(tmp_path: Path) -> None:
    """What runs that were killed have left does not pile up where nobody uses `ssh`."""
    (tmp_path / "1-1.json").write_text("{}")
    with running.note(tmp_path, noted(2222)):
        assert [each == "1-1.json" for each in notes(tmp_path)] == [False]
