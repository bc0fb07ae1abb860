"""watch: every change is built, whatever goes wrong in between, and Ctrl-C is how it ends."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bootsmith.tasks.command.actions import watch
from bootsmith.tasks.errors import UsageError

from tests.command.actions.conftest import Calls
from tests.support.project import dodo, environment
from tests.support.stand_in import stand_in

PATIENCE = 120
"""Seconds after which what a watch should say counts as never said."""


class Watched:
    """A watch in a process of its own; `said` is all that it has printed."""

    def __init__(self, top: Path, *words: str, **env: str) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, "-m", "doit", "watch", *words], cwd=top,
            env=environment(top) | env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def until(self, words: str) -> str:
        """Wait until it has said that; return what it said up to there since the last time."""
        end = time.monotonic() + PATIENCE
        assert self.process.stdout is not None
        while words not in self.said:
            assert select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0], self.said
            piece = os.read(self.process.stdout.fileno(), 65536)
            assert piece, self.said
            self.said += piece.decode()
        said, self.said = (each + words for each in self.said.split(words, 1))
        self.said = self.said.removesuffix(words)
        return said

    def end(self) -> int:
        """Press Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=PATIENCE)
        self.said += out.decode()
        return self.process.returncode


@pytest.fixture(name="top")
def fixture_top(call: Calls) -> Path:
    """A project that makes a disk of a folder."""
    (call.top / "dodo.py").write_text(dodo("box.yaml"))
    return call.top


@pytest.mark.parametrize("how", [[], ["--poll"]])
def test_every_change_is_built(top: Path, how: list[str]) -> None:
    """It says what changed and what it cost; a broken recipe is told, and the next edit tried; Ctrl-C is its end."""
    watched = Watched(top, *how, "rootfs")
    try:
        assert "built    rootfs" in watched.until("done in")
        (top / "tree/file").write_text("new")
        watched.until("changed: tree/file")
        assert "built    rootfs" in watched.until("done in")
        text = (top / "box.yaml").read_text()
        (top / "box.yaml").write_text("nonsense: true\n" + text)
        watched.until("changed: box.yaml")
        assert "nonsense" in watched.until("failed after")
        (top / "other/deep").mkdir(parents=True)
        (top / "box.yaml").write_text(text.replace("directory: tree", "directory: other"))
        watched.until("built    rootfs")
        watched.until("done in")
        (top / "other/deep/file").write_text("what the recipe names now")
        watched.until("changed: other/deep/file")
        watched.until("done in")
        assert watched.end() == 0
        assert "the watch has ended" in watched.said
    finally:
        watched.process.kill()


SLOW = """
import time
from bootsmith.tasks import image_tasks
DOIT_CONFIG, task_bootsmith = image_tasks("box.yaml")
if (HERE / "slow").exists():
    (HERE / "begun").touch()
    while (HERE / "slow").exists():
        time.sleep(0.01)
"""


@pytest.fixture(name="building")
def fixture_building(top: Path) -> Iterator[Watched]:
    """A watch that builds tree/one, for as long as the file `slow` is there."""
    (top / "dodo.py").write_text("from pathlib import Path\nHERE = Path(__file__).parent\n" + SLOW)
    watched = Watched(top, "rootfs")
    try:
        watched.until("done in")
        (top / "slow").touch()
        (top / "tree/one").touch()
        end = time.monotonic() + PATIENCE
        while not (top / "begun").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        yield watched
    finally:
        watched.process.kill()


def test_what_changes_during_a_build_is_built_after_it(top: Path, building: Watched) -> None:
    """Nothing is lost, and two never build at a time."""
    (top / "tree/two").touch()
    (top / "slow").unlink()
    assert "changed: tree/one" in building.until("done in")
    said = building.until("done in")
    assert "changed: tree/two" in said
    assert building.end() == 0


def test_a_build_is_interrupted(building: Watched) -> None:
    """Ctrl-C ends the build, and the watch with it."""
    os.killpg(building.process.pid, signal.SIGINT)
    out, _ = building.process.communicate(timeout=PATIENCE)
    assert building.process.returncode == 0
    assert "the watch has ended" in out.decode()


QEMU = """
import os, sys, time
if "--version" in sys.argv:
    print("QEMU emulator version 8.2.0")
    sys.exit()
print(f"machine {os.getpid()} runs", flush=True)
time.sleep(1000)
"""
"""A program in QEMU's place: what it prints is a guest's console."""


def machine_of(said: str) -> int:
    """Return the process of the machine that was started last."""
    return int(re.findall(r"machine (\d+) runs", said)[-1])


def runs(pid: int) -> bool:
    """Tell whether a process is there, and is more than an end that nobody asked for yet."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_machine_shows_what_is_there(top: Path) -> None:
    """Another disk is another machine; a failed build, or the same disk, leaves it alone; it ends with the watch."""
    path = stand_in(top / "bin", "qemu-system-x86_64", QEMU)
    text = (top / "box.yaml").read_text().replace(
        "initrd: none", "initrd: none, root: none"
    ) + "machine: {accel: tcg}\n"
    (top / "box.yaml").write_text(text)
    watched = Watched(top, "run-bios", PYTHONPATH=path)
    try:
        first = machine_of(watched.until("runs"))
        (top / "tree/file").write_text("new")
        second = machine_of(watched.until("runs"))
        assert second != first
        assert not runs(first)
        (top / "box.yaml").write_text("nonsense: true\n" + text)
        watched.until("failed after")
        assert runs(second)
        (top / "tree/file").write_text("new")
        watched.until("changed: tree/file")
        watched.until("failed after")
        (top / "box.yaml").write_text(text)
        third = machine_of(watched.until("runs"))
        assert not runs(second)
        (top / "tree/file").write_text("new")
        watched.until("nothing of what the machine runs is another: it goes on")
        assert runs(third)
        assert watched.end() == 0
        assert not runs(third)
    finally:
        watched.process.kill()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run-dir",), "watch does not go with run-dir"),
        (("imge",), "watch does not go with imge"),
        (("run-uefi", "--keep"), "watch does not go with --keep"),
        (("run-uefi", "--memory", "2G", "--det"), "watch does not go with --detach"),
        (("run-direct", "--pri", "--kee"), "watch does not go with --keep"),
        (("run-bios", "--gd"), "watch does not go with --gdb"),
        (("run-bios", "--nosuch"), "option --nosuch not recognized"),
        (("image", "--keep"), "option --keep not recognized"),
        (("run-uefi", "--memory", "2G", "some.img"), "watch builds a recipe's image, and some.img is a file"),
        (("verify", "some.img"), "watch builds a recipe's image, and some.img is a file"),
        (("run-uefi", "some.img"), "watch builds a recipe's image, and some.img is a file"),
    ],
)
def test_what_cannot_be_watched_is_refused(call: Calls, words: tuple[str, ...], message: str) -> None:
    """At once, with what can."""
    with pytest.raises(UsageError, match=message):
        watch.watch(call("watch", *words))
