"""Running machines are found by their notes, and dead ones are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


def test_a_machine_is_found_while_it_runs(tmp_path: Path) -> None:
    """Notes are there as long as their machines, the newest first (A12)."""
    assert running.find(tmp_path) == []
    with running.note(tmp_path, noted(2222)):
        with running.note(tmp_path, noted(2223)):
            assert running.find(tmp_path) == [noted(2223), noted(2222)]
        assert running.find(tmp_path) == [noted(2222)]
    assert running.find(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


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
    assert len(list(tmp_path.iterdir())) == 1
    assert running.find(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_clears_notes_away(tmp_path: Path) -> None:
    """What runs that were killed have left does not pile up where nobody uses `ssh`."""
    (tmp_path / "1-1.json").write_text("{}")
    with running.note(tmp_path, noted(2222)):
        assert [each.name == "1-1.json" for each in tmp_path.iterdir()] == [False]
