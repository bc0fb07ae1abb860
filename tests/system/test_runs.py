"""Machines on a terminal, met by what happens there: pasted, started twice, killed. Nothing of them is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.printing_disks import printing_disk
from tests.support.toy_project import ToyProject

pytestmark = pytest.mark.boot

LONG = 120  # seconds: how long a busy host may take for what takes it one when idle
DISK = 'it\'s a $HOME, "disk".img'
WORDS = ("run-bios", DISK, "--accel", "tcg", "--memory", "64M")


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path) -> ToyProject:
    """A project with a disk under an awkward name, and a folder of its own for temporary files."""
    (tmp_path / "it's mine").mkdir()
    (tmp_path / "temporary").mkdir()
    project = ToyProject.make(tmp_path / "it's mine")
    project.variables["TMPDIR"] = str(tmp_path / "temporary")
    (project.top / DISK).write_bytes(printing_disk("hello from the disk"))
    (project.top / "ending.img").write_bytes(printing_disk("hello and goodbye", ends=True))
    return project


@contextlib.contextmanager
def started(project: ToyProject, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a machine, and end it."""
    with project.start(*WORDS, *words) as running:
        try:
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def heard(running: subprocess.Popen[str], text: str = "hello from the disk") -> str:
    """Return what was said until `text` came, or the end."""
    assert running.stdout is not None
    fd, said = running.stdout.fileno(), ""
    while text not in said:
        assert select.select([fd], [], [], LONG)[0], said
        chunk = os.read(fd, 65536)
        if not chunk:
            break
        said += chunk.decode(errors="replace")
    return said


def gone(pids: list[int]) -> bool:
    """Wait for the end of processes that are not our children; tell whether all of them ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            ended = select.select([handle], [], [], LONG)[0]
            os.close(handle)
            if not ended:
                return False
    return True


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_printed_command_starts_the_same_machine(project: ToyProject, shell: str) -> None:
    """A printed command runs in any shell, from any folder, whatever files are called (L12)."""
    folder = project.top / "a, 'folder' of $mine"
    folder.mkdir()
    disk = (project.top / "ending.img").rename(folder / DISK)
    words = ("--share", f"work={folder}", "--serial", str(folder / "the, log"), "--qemu", "-no-reboot -name 'a  b'")
    done = project.doit(
        "run-bios",
        str(disk),
        "--print",
        "--accel",
        "tcg",
        "--memory",
        "64M",
        "--drive",
        "sata",
        "--nic",
        "none",
        *words,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout[done.stdout.index("/usr/bin/qemu-system") :]
    command = "\n".join(line for line in said.splitlines() if line.startswith(("/usr/bin", "  -")))
    ran = subprocess.run([shell, "-c", command], cwd="/", capture_output=True, text=True, timeout=LONG, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "hello and goodbye" in (folder / "the, log").read_text(errors="replace")
    assert disk.read_bytes() == printing_disk("hello and goodbye", ends=True)


def test_two_at_once_share_a_key_and_no_port(project: ToyProject) -> None:
    """Two machines that begin at the same moment both run, each with ports of its own (A12)."""
    with started(project, "--display", "vnc") as one, started(project, "--display", "vnc") as two:
        said = [heard(one), heard(two)]
        assert all("hello from the disk" in each for each in said)
        for what in ("-p ", "VNC: 127.0.0.1:"):
            ports = {each.partition(what)[2].split()[0] for each in said}
            assert len(ports) == 2, said
        assert len({each.partition(" -i ")[2].partition(" -p ")[0] for each in said}) == 1


def test_two_do_not_keep_their_writes_in_one_place(project: ToyProject) -> None:
    """While one machine keeps its writes, another that would is refused in words; without --keep it runs (L17)."""
    with started(project, "--keep") as one:
        assert "hello from the disk" in heard(one)
        refused = project.doit(*WORDS, "--keep")
        assert refused.returncode == 1
        assert "another machine keeps its writes in" in refused.stdout
        assert "qemu-system" not in refused.stdout
        with started(project) as other:
            assert "hello from the disk" in heard(other)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_killed_run_leaves_nothing(project: ToyProject, number: signal.Signals) -> None:
    """However we end, machine, daemons, sockets and locks end too; the next run finds no trace (L11)."""
    with started(project, "--share", "work=tree") as running:
        assert "mount -t virtiofs work" in heard(running)
        processes = [child.pid for child in psutil.Process(running.pid).children(recursive=True)]
        assert len(processes) >= 2, "QEMU, and a daemon for the share"
        running.send_signal(number)
        assert running.wait(LONG) != 0
        assert gone(processes)
    assert list((project.top.parent / "temporary").iterdir()) == []
    with (project.top / DISK).open("rb") as image:
        fcntl.flock(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert "no such machine is running" in project.doit("ssh").stdout
    assert [*(project.top / "build/.running").iterdir()] == [project.top / "build/.running/.lock"]


@contextlib.contextmanager
def on_a_terminal(project: ToyProject, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run `doit WORDS` on a terminal of its own, kept as it is by the far end that is given too."""
    far, near = os.openpty()
    argv = ["setsid", "--ctty", "env", "--default-signal=INT,HUP", sys.executable, "-m", "doit", *words]
    with subprocess.Popen(
        argv, cwd=project.top, env=project.environment(), stdin=near, stdout=near, stderr=near
    ) as running:  # fmt: skip
        try:
            yield running, far
        finally:
            running.kill()
            os.close(far)
            os.close(near)


def read_until(far: int, text: bytes) -> bytes:
    """Return what came out of a terminal until `text` did."""
    said = b""
    while text not in said:
        assert select.select([far], [], [], LONG)[0], said
        said += os.read(far, 65536)
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("before", [(), ("rootfs",)], ids=["alone", "after a stage"])
def test_a_killed_run_gives_the_terminal_back(
    project: ToyProject, before: tuple[str, ...], number: signal.Signals
) -> None:
    """QEMU had it raw and could not say goodbye: who typed the command sees again what is typed."""
    with on_a_terminal(project, *before, *WORDS) as (running, far):
        whole = termios.tcgetattr(far)
        read_until(far, b"hello from the disk")
        assert not termios.tcgetattr(far)[3] & termios.ICANON
        running.send_signal(number)
        assert b"interrupted" in read_until(far, b"interrupted")
        assert running.wait(LONG) == 128 + number
        assert termios.tcgetattr(far) == whole


def test_a_run_that_ignores_hangups_goes_on(project: ToyProject) -> None:
    """Under nohup a machine outlives its terminal."""
    nohup = ["env", "--ignore-signal=HUP", sys.executable, "-m", "doit", *WORDS]
    words = {"cwd": project.top, "env": project.environment(), "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(nohup, start_new_session=True, **words) as running:
        try:
            heard(running)
            running.send_signal(signal.SIGHUP)
            running.send_signal(signal.SIGTERM)
            assert running.wait(LONG) == 128 + signal.SIGTERM
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def test_a_killed_machine_is_told(project: ToyProject) -> None:
    """QEMU killed by somebody ends the run with exit status 1, in words, and leaves nothing (L11)."""
    with started(project, "--share", "work=tree") as running:
        heard(running)
        children = psutil.Process(running.pid).children(recursive=True)
        (machine,) = (child for child in children if child.name().startswith("qemu-system"))
        machine.kill()
        said = heard(running, "Its words are above")
        assert "QEMU exited with status 137" in said
        assert running.wait(LONG) == 1
        assert gone([child.pid for child in children])
    assert list((project.top.parent / "temporary").iterdir()) == []
    assert [*(project.top / "build/.running").iterdir()] == [project.top / "build/.running/.lock"]
