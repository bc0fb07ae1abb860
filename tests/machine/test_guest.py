"""A machine that runs without a terminal: what it prints arrives, what is typed reaches it, and it ends with us."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from bootsmith.tasks.errors import TestFailed
from bootsmith.tasks.machine import guest
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.machine.guest import Guest
from bootsmith.tasks.machine.qemu import Chardevs

LATE = 60
"""Seconds after which a program that was to print has not; none waits so long unless something is wrong."""
PROLOGUE = """
import os, sys
pipe, second, monitor = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
printed, typed = os.open(pipe + ".out", os.O_WRONLY), os.open(pipe + ".in", os.O_RDWR)
os.write(monitor, b"greeting")
"""
Start = Callable[[str], AbstractContextManager[Guest]]


@pytest.fixture(name="start")
def fixture_start(tmp_path: Path) -> Start:
    """What starts a program in QEMU's place, which has our ends; the log is `log`."""

    @contextlib.contextmanager
    def start(program: str) -> Iterator[Guest]:
        script = PROLOGUE + textwrap.dedent(program)

        def command(chardevs: Chardevs) -> list[str]:
            return [sys.executable, "-c", script, str(chardevs.console), str(chardevs.second), str(chardevs.qmp)]

        with guest.start(command, Console(direct=True), tmp_path / "log") as running:
            yield running

    return start


def pump(running: Guest, done: Callable[[], bool]) -> None:
    """Take what is printed until that is so, or the program has ended."""
    while not done() and not running.ended:
        assert running.now() < LATE
        running.pump(1)


def test_all_that_is_printed_arrives(start: Start, tmp_path: Path) -> None:
    """The log has the console's bytes as they are, more of them than a socket holds; the second port's are text."""
    with start("""
        os.write(second, b"\\x1b[1msecond\\xff\\n")
        for _ in range(3000):
            os.write(printed, b"\\x1b[0m\\xff" + b"x" * 95 + b"\\r\\n")
    """) as running:  # fmt: skip
        pump(running, lambda: False)
        while not running.second.endswith("\n"):
            running.pump(1)
    assert (tmp_path / "log").read_bytes() == (b"\x1b[0m\xff" + b"x" * 95 + b"\r\n") * 3000
    assert running.second == "second\ufffd\n"


def test_what_is_typed_reaches_it(start: Start) -> None:
    """Each port gets its own."""
    with start("""
        os.write(second, os.read(typed, 100))
        os.write(second, os.read(second, 100))
        os.read(typed, 1)
    """) as running:  # fmt: skip
        running.send(b"one")
        pump(running, lambda: running.second == "one")
        running.send_second(b"two")
        pump(running, lambda: running.second == "onetwo")
        assert running.second == "onetwo"


def test_a_guest_that_does_not_read_does_not_hang_us(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed to a guest that reads nothing, or has ended, is given up."""
    monkeypatch.setattr(guest, "_TYPING", 0)
    with start("os.read(typed, 0); os.write(printed, b'up'); os.read(monitor, 1)") as running:
        pump(running, lambda: running.quiet_since > running.began)
        running.send_second(b"x" * (1 << 20))
        running.send(b"x" * (1 << 20))
        assert running.status() == (None, "")
    with start("") as running:
        pump(running, lambda: False)
        running.send_second(b"too late")


@pytest.mark.parametrize("pieces", [["sec", "ret", "!"], ["a secret b secret"], ["s", "e", "c", "r", "e", "t"]])
def test_a_hidden_word_is_in_no_log(start: Start, tmp_path: Path, pieces: list[str]) -> None:
    """However a guest's echo of a secret comes in, the log has stars; what only begins like it stays."""
    program = f"""
        for piece in {pieces!r}:
            os.write(second, b".")
            os.read(typed, 1)
            os.write(printed, piece.encode())
        os.write(printed, b" se")
    """
    with start(program) as running:
        running.hide(b"secret")
        for number in range(1, len(pieces) + 1):
            pump(running, lambda number=number: len(running.second) == number)  # type: ignore[misc]
            running.send(b"\n")
        pump(running, lambda: False)
        while running.status()[0] is None:
            running.pump(1)
    assert (tmp_path / "log").read_text() == "".join(pieces).replace("secret", "********") + " se"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("sys.exit('no such disk')", "QEMU ended with status 1: no such disk"),
        ("sys.exit(3)", "QEMU ended with status 3: it said nothing"),
        (r"os.write(2, b'\xff'); sys.exit(1)", "QEMU ended with status 1: \ufffd"),
    ],
)
def test_an_end_with_an_error_is_told(start: Start, program: str, said: str) -> None:
    """What QEMU complained of is told with its status; a guest that ends by itself is no error."""
    with start(program) as running:
        pump(running, lambda: False)
        error = guest.explain_early_end(running)
        assert error
        assert error.message == said
        assert running.screen() == []
    with start("") as running:
        pump(running, lambda: False)
        assert guest.explain_early_end(running) is None


def test_it_ends_with_the_context(start: Start) -> None:
    """However the context is left, the program is gone, and no descriptor or pipe stays."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with contextlib.suppress(KeyError), start("os.read(monitor, 1)") as running:
        assert running.status() == (None, "")
        raise KeyError
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_one_that_does_not_begin_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU that opens nothing, as on a file system that hangs, is an error and not an endless wait."""
    monkeypatch.setattr(guest, "_OPENING", 0)
    with pytest.raises(TestFailed, match="QEMU did not begin"), start("os.read(monitor, 1)"):
        pass
