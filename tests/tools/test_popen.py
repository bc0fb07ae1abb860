"""Programs beside us: on the terminal and in the background."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from bootsmith.tasks.tools import children, popen

from tests.support import other_process

PATIENCE = 30
"""Seconds after which something that should happen counts as not happening."""


def test_background_program_talks_and_ends() -> None:
    """A program in the background is spoken to by pipes and asked to end."""
    with popen.start(["/bin/cat"]) as running:
        running.stdin.write(b"hello\n")
        assert running.stdout.read(6) == b"hello\n"
        assert running.poll() is None
        assert running.wait(0) is None
        assert running.terminate(PATIENCE) == 128 + signal.SIGTERM
        assert running.poll() == 128 + signal.SIGTERM


def test_background_program_that_will_not_end_is_killed() -> None:
    """SIGTERM unheard, SIGKILL follows."""
    with popen.start(["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do read line; done"]) as running:
        assert running.stdout.read(5) == b"deaf\n"
        assert running.terminate(grace=0) == 128 + signal.SIGKILL


def test_background_errors_can_go_to_a_file(tmp_path: Path) -> None:
    """What a program complains goes to the file named, else where its output goes."""
    script = ["/bin/sh", "-c", "echo bad >&2"]
    with popen.start(script, stderr=tmp_path / "errors") as running:
        assert running.stdout.read() == b""
    assert (tmp_path / "errors").read_text() == "bad\n"
    with popen.start(script) as running:
        assert running.stdout.read() == b"bad\n"


BESIDE = """
import sys
from bootsmith.tasks.tools import children, popen

from tests.support import other_process
argv = ["/bin/sh", "-c", "echo $$; read line"]
if sys.argv[1] == "start":
    with popen.start(argv) as running:
        print(int(running.stdout.read(100)), flush=True)
        running.wait()
else:
    popen.spawn_interactive(argv)
"""


@pytest.mark.parametrize("how", ["start", "spawn_interactive"])
def test_kill_9_of_us_ends_programs_beside_us(how: str) -> None:
    """A machine in the background, or on the terminal, ends when we are killed."""
    assert other_process.dies_with(other_process.start(BESIDE, how))


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("exit 0", 0)])
def test_interactive_program_gives_its_status(script: str, status: int) -> None:
    """A program on the terminal passes its exit status back, and Ctrl-C is ours again afterwards."""
    assert popen.spawn_interactive(["/bin/sh", "-c", script]) == status
    assert not children.hears_ctrl_c()


def test_open_files_are_handed_over(tmp_path: Path) -> None:
    """A lock held by an open file can be passed to the machine that needs it."""
    with (
        (tmp_path / "lock").open("wb") as lock,
        popen.start(["/bin/readlink", f"/proc/self/fd/{lock.fileno()}"], pass_fds=[lock.fileno()]) as running,
    ):
        assert running.stdout.read().decode() == f"{tmp_path}/lock\n"


def test_a_program_apart_outlives_us_only_when_all_is_well() -> None:
    """It reads what it is given and goes on when its start has ended well; given up on before that, it is killed."""
    script = ["/bin/sh", "-c", "read line; echo $$ $line; exec sleep 1000"]
    with popen.apart(script, env={}, input=b"words\n") as told:
        number, words = told.readline().split()
        assert words == b"words"
    assert not other_process.ended(int(number), within=0)
    os.kill(int(number), signal.SIGKILL)
    with contextlib.suppress(KeyboardInterrupt), popen.apart(script, env={}, input=b"\n") as told:
        number = told.readline()
        raise KeyboardInterrupt
    assert other_process.ended(int(number), within=0)
    with popen.apart(["/bin/true"], env={}, input=bytes(1 << 20)) as told:  # which reads nothing
        assert told.read() == b""
