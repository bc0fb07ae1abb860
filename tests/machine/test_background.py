"""Machines in the background: they outlive who started them, are found, and end when asked, or by force."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import background, ending, overlay, running
from bootsmith.tasks.machine.background import Job
from bootsmith.tasks.machine.run import Subject
from bootsmith.tasks.recipe.options import machine

from tests.support import other_process
from tests.support.stand_in import stand_in

PATIENCE = 60
"""Seconds after which something that should happen counts as not happening."""

QEMU = """
import json, os, re, socket, sys, time
if "--version" in sys.argv:
    print("QEMU emulator version 8.2.0")
    sys.exit()
if "-refused" in sys.argv:
    print("qemu: -refused: invalid option", file=sys.stderr)
    sys.exit(1)
words = " ".join(sys.argv)
open(re.search(r"file,id=console,path=(\\S+)", words)[1], "w").write("console of " + str(os.getpid()))
monitor = socket.socket(fileno=int(re.search(r"id=qmp,fd=(\\d+)", words)[1]))
monitor.sendall(b'{"QMP": {}}\\n')
heard = b""
while True:
    piece = monitor.recv(4096)
    if not piece:
        time.sleep(1000)
    *lines, heard = (heard + piece).split(b"\\n")
    for line in lines:
        monitor.sendall(b'{"event": "X"}\\n{"return": {}}\\n')
        if json.loads(line)["execute"] == "system_powerdown" and "-deaf" not in sys.argv:
            sys.exit()
"""
"""A program in QEMU's place: it has a console and a monitor, and ends by its power button, unless it is deaf."""

Start = Callable[..., running.Noted]


@pytest.fixture(name="start")
def fixture_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """What starts a machine with further words for QEMU; those that still run are ended by force."""
    register = tmp_path / "register"
    monkeypatch.setenv("PYTHONPATH", stand_in(tmp_path / "bin", "qemu-system-x86_64", QEMU))
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(512))

    def start(*words: str, name: str = "", login: str = "none") -> running.Noted:
        asked = machine({"accel": "tcg", "qemu": " ".join(words), "login": login})
        job = Job(asked, Subject(disk, kind="bios"), tmp_path / "folder", register, name)
        return background.start(job, lambda _: None)

    yield start
    for each in running.find(register):
        os.kill(each.pid, signal.SIGKILL)


def qemu(noted: running.Noted) -> int:
    """Return the process id that QEMU wrote to its console."""
    assert noted.console is not None
    return int(noted.console.read_text().split()[-1])


def test_a_machine_outlives_its_start_and_ends_when_asked(start: Start, tmp_path: Path) -> None:
    """It is found by its name, with its console in a file; its power button is pressed, and nothing is left (A12)."""
    noted = start(name="box")
    assert running.find(tmp_path / "register") == [noted]
    assert (noted.name, noted.detached, noted.started) == ("box", True, True)
    assert noted.console == tmp_path / "folder/console.log"
    assert noted.pid not in (os.getpid(), qemu(noted))
    ended = ending.ask(tmp_path / "register", noted)
    assert ended is not None
    with ended:
        assert ended.wait(PATIENCE)
    assert running.find(tmp_path / "register") == []
    assert other_process.ended(qemu(noted))


def test_two_machines_of_one_name_have_two(start: Start) -> None:
    """Each has its name and its console; the name of one that has ended is free again."""
    first, second = start(), start()
    assert [first.name, second.name] == ["disk.img", "disk.img-2"]
    assert first.console != second.console
    os.kill(first.pid, signal.SIGKILL)
    assert other_process.ended(first.pid)
    third = start()
    assert (third.name, third.console) == (first.name, first.console)


def test_one_that_hears_nothing_is_ended_by_force(start: Start, tmp_path: Path) -> None:
    """Who runs it is killed, by a handle of that very process, and QEMU goes with it."""
    noted = start("-deaf")
    ended = ending.ask(tmp_path / "register", noted)
    assert ended is not None
    with ended:
        assert not ended.wait(0.5)
        ended.kill()
        assert ended.wait(0)
    assert other_process.ended(qemu(noted))
    assert running.find(tmp_path / "register") == []


def test_nobody_else_is_ever_ended(start: Start, tmp_path: Path) -> None:
    """A note that nobody holds names a process that is somebody else's by now."""
    noted = start()
    others = running.Noted(None, "x", None, None, os.getpid(), space=noted.space)
    assert ending.ask(tmp_path / "register", others) is None
    with pytest.raises(BootsmithError, match="runs in another container"):
        ending.ask(tmp_path / "register", running.Noted(None, "x", None, None, noted.pid, space=1))
    assert running.find(tmp_path / "register") == [noted]


def test_one_that_does_not_begin_is_told(start: Start, tmp_path: Path) -> None:
    """By QEMU's own words, and it is not noted any more."""
    with pytest.raises(BootsmithError, match=r"QEMU ended with status 1: qemu: -refused: invalid option"):
        start("-refused")
    assert running.find(tmp_path / "register") == []


def test_only_one_keeps_its_writes(tmp_path: Path) -> None:
    """What a refusal says, and what to do, reaches who started it."""
    (tmp_path / "disk.img").touch()
    kept = machine({"accel": "tcg", "keep": True, "login": "none"})
    job = Job(kept, Subject(tmp_path / "disk.img", kind="bios"), tmp_path / "folder", tmp_path / "register", "")
    with (
        overlay.alone(tmp_path / "folder"),
        pytest.raises(BootsmithError, match="another machine keeps its") as refused,
    ):
        background.start(job, lambda _: None)
    assert refused.value.hint.startswith("End that one first")


def test_what_the_system_refuses_is_told_in_words(start: Start, tmp_path: Path) -> None:
    """As it is where a machine runs on a terminal: no traceback for a file in the way."""
    (tmp_path / "folder").touch()
    with pytest.raises(BootsmithError, match=rf"^the machine: {tmp_path}/folder: File exists") as refused:
        start()
    assert "Traceback" not in refused.value.message
    assert refused.value.hint.startswith("Move what is in the way")
