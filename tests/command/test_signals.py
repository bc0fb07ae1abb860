"""Signals that end a run: its programs with it, in words, and by the status that shells know."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

PROGRAM = """
import os, signal, sys
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.signals import Signals
from bootsmith.tasks.tools import children
children.kill_all = lambda: print("killed", flush=True)
one, keeps, before = getattr(signal, sys.argv[1]), sys.argv[2] == "keeps", sys.argv[3]
if before == "ignored":
    signal.signal(one, signal.SIG_IGN)
if before == "somebody's":
    signal.signal(one, lambda *_: print("somebody else's", flush=True))
signals = Signals(Progress(), lambda: keeps)
signals.heed(one)
signals.heed(one)
signals.half_done = "the disk is incomplete" if before == "writing" else ""
if before == "ended":
    signals.restore()
    sys.exit(signal.getsignal(one) is not signal.SIG_DFL)
if before == "somebody's":
    signals.restore()
os.kill(os.getpid(), one)
print("goes on")
"""


def end(name: str, *, keeps: bool = False, before: str = "usual") -> tuple[int, str, str]:
    """Send a process of its own a signal; return its exit status, and what it said."""
    done = subprocess.run(
        ["env", "--default-signal=INT,HUP,TERM", sys.executable, "-c", PROGRAM, name, "keeps" if keeps else "", before],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_run_and_its_programs(name: str) -> None:
    """Programs are killed first; the exit status is what a shell gives for that signal."""
    assert end(name) == (128 + getattr(signal, name), "killed\n", "interrupted\n")


def test_what_is_kept_is_said() -> None:
    """Where something was built, the user hears that the next run goes on from there."""
    status, _, said = end("SIGTERM", keeps=True)
    assert status == 143
    assert said == "interrupted; what was finished is kept, run the same command to go on\n"


def test_what_is_left_half_done_is_said() -> None:
    """A disk that is half written has nobody else to say so."""
    assert end("SIGINT", before="writing")[2] == "interrupted\nthe disk is incomplete\n"


WITH_A_FOLDER = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.files import temporary
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.signals import Signals
Signals(Progress(), lambda: False).heed(signal.SIGINT)
with temporary.folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(bytes(5))
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGINT)
    os.waitpid(child, 0)
    print(len(list(folder.iterdir())), flush=True)
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_leaves_no_passing_folder(tmp_path: Path) -> None:
    """What is half made beside somebody's files is gone with who made it; not with a child of that (C8, L11)."""
    done = subprocess.run(
        ["env", "--default-signal=INT", sys.executable, "-c", WITH_A_FOLDER, tmp_path],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "1\n")
    assert not list(tmp_path.iterdir())


def test_what_is_ignored_stays_so() -> None:
    """Under nohup a run outlives the terminal it was started from."""
    assert end("SIGHUP", before="ignored") == (0, "goes on\n", "")


def test_a_run_that_ended_leaves_signals_as_they_were() -> None:
    """After it a signal means what it meant before, be it the system's meaning or somebody else's."""
    assert end("SIGTERM", before="ended")[0] == 0
    assert end("SIGTERM", before="somebody's") == (0, "somebody else's\ngoes on\n", "")


IN_A_THREAD = """
import os, pty, signal, sys, threading
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.signals import Signals
from bootsmith.tasks.tools import children, popen
ours, its = pty.openpty()
os.dup2(its, 0)
Signals(Progress(), lambda: False).heed(signal.SIGINT)
handler, heard = signal.getsignal(signal.SIGINT), threading.Event()
signal.signal(signal.SIGINT, lambda *told: (handler(*told), heard.set()))
script = "trap 'read -r _; exit 9' INT; read -r _; kill -INT 0; exit 1"
command = threading.Thread(target=lambda: print(popen.spawn_interactive(["/bin/sh", "-c", script]), flush=True))
command.start()
while not children.hears_ctrl_c():
    os.sched_yield()
os.write(ours, b"press\\n")
heard.wait()
os.write(ours, b"heard\\n")
command.join()
os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_reaches_the_program_that_has_the_terminal_and_not_us() -> None:
    """Ctrl-C, a signal to all that run there, is the program's to handle, from whichever thread; then it is ours."""
    done = subprocess.run(
        ["env", "--default-signal=INT", sys.executable, "-c", IN_A_THREAD],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}, text=True, capture_output=True, check=False,
        start_new_session=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "9\n", "interrupted\n")
