"""Runs on the user's terminal: free ports, what is said beforehand, and an image that stays as it is."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError, UsageError
from bootsmith.tasks.machine import accelerator, firmware, microvm_clock, qemu, run, running, shares
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.machine.run import Subject

from tests.support.machine_keys import TCG, machine
from tests.support.printing_disks import printing_disk


@pytest.fixture(name="here", autouse=True)
def fixture_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs see TCG and a firmware of their own, whatever this host has."""
    found = Firmware(tmp_path / "CODE.fd", tmp_path / "VARS.fd")
    found.variables.write_bytes(b"variables")
    monkeypatch.setattr(accelerator, "choose", lambda _wanted, **_: TCG)
    monkeypatch.setattr(firmware, "find", lambda secure_boot=False: replace(found, secure=secure_boot))


@pytest.fixture(name="disk")
def fixture_disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk.img"
    disk.write_bytes(printing_disk("hello"))
    return disk


def test_free_ports_are_taken_as_they_are() -> None:
    """Ports that are free are the ones asked for, and nothing is said about them."""
    told: list[str] = []
    asked = machine(forward=((2222, 22), (8080, 80)), display="vnc", gdb=True)
    assert run.free_ports(asked, told.append, lambda _port: True) == qemu.Ports(((2222, 22), (8080, 80)), 5900, 1234)
    assert told == []


def test_taken_ports_are_replaced_and_told() -> None:
    """A port that is taken is replaced by a free one; so are VNC's and gdb's; all of it is said (A12)."""
    told: list[str] = []
    taken = {2222, 2223, 5900, 1234, 80}
    asked = machine(forward=((2222, 22), (80, 80), (2224, 443)), display="vnc", gdb=True)
    ports = run.free_ports(asked, told.append, lambda port: port not in taken)
    assert ports == qemu.Ports(((2224, 22), (2225, 80), (2226, 443)), 5901, 1235)
    assert told[0] == "port 2222 cannot be had, so the guest's port 22 gets 2224"
    assert len(told) == 5


def test_a_port_somebody_listens_on_is_taken() -> None:
    """A real listener is noticed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert run.free_ports(machine(forward=((port, 22),)), lambda _: None).forward[0][0] != port


def printed(disk: Path, **keys: object) -> list[str]:
    """Return what a run says that only prints its command, from the command on."""
    told: list[str] = []
    folder = disk.parent / "run"
    assert run.run(machine(**keys), Subject(disk), folder=folder, print_only=True, say=told.append) == 0
    return told[next(n for n, text in enumerate(told) if qemu.PROGRAM in text) :]


def test_the_command_and_the_way_out_are_told(disk: Path) -> None:
    """The command can be pasted, and the user is told the ports and how to end the machine (L12, L20)."""
    command, *notes = printed(disk, forward=((40080, 80),), monitor=True, gdb=True, display="vnc")
    words = shlex.split(command.replace("\\\n", ""))
    assert Path(words[0]).name == "qemu-system-x86_64"
    assert f"if=none,id=disk,format=raw,snapshot=on,cache=writeback,file={disk}" in words
    assert "127.0.0.1:40080 leads to the guest's port 80" in notes
    assert notes[-1] == "Ctrl-A X ends the machine, Ctrl-A C is its monitor"
    assert any(note.startswith("gdb -ex 'target remote 127.0.0.1:") for note in notes)
    assert any(note.startswith("VNC: 127.0.0.1:") for note in notes)
    assert not any("ssh" in note for note in notes)


def test_where_the_console_went_is_told(disk: Path) -> None:
    """With the console in a file the notes say so, and how to end the machine all the same."""
    assert printed(disk, serial="/l/log")[-1] == "the console is written to /l/log; Ctrl-C ends the machine"
    assert "`quit` ends the machine" in printed(disk, serial="/l/log", monitor=True)[-1]


def test_a_locked_image_can_be_entered(disk: Path) -> None:
    """`login: auto` gives a root shell, an ssh key and a port for it by credentials; the image stays as it is (V21)."""
    before = disk.read_bytes(), disk.stat().st_mtime_ns
    command, *notes = printed(disk, login="auto")
    assert "io.systemd.credential.binary:tmpfiles.extra=" in command
    note = next(note for note in notes if "ssh " in note)
    words = shlex.split(note)
    assert Path(words[words.index("-i") + 1]).read_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert f"127.0.0.1:{words[words.index('-p') + 1]}-:22" in command
    assert (disk.read_bytes(), disk.stat().st_mtime_ns) == before


def test_a_forward_to_ssh_is_used_for_it(disk: Path) -> None:
    """A recipe's own forward to port 22 is the one ssh is told to use."""
    command, *notes = printed(disk, login="auto", forward=((40022, 22),))
    assert command.count("hostfwd") == 1
    assert any("-p 40022" in note for note in notes)


def test_login_without_a_network(disk: Path) -> None:
    """Without a network card there is the console alone, and no key is made."""
    command, *notes = printed(disk, login="auto", nic="none")
    assert "io.systemd.credential.binary" in command
    assert not any("ssh" in note for note in notes)
    assert not (disk.parent / "run/ssh_key").exists()


def test_a_command_for_later_has_no_key(disk: Path) -> None:
    """A command that is only printed, for a bare file, names no key: there is no place where one would stay."""
    told: list[str] = []
    assert run.run(machine(login="auto"), Subject(disk), print_only=True, say=told.append) == 0
    assert "io.systemd.credential.binary:tmpfiles.extra=" in "".join(told)
    assert not any("ssh" in text for text in told[1:])


def test_no_login_asked_no_credentials(disk: Path) -> None:
    """`login: none` passes nothing to the guest."""
    assert "smbios" not in printed(disk, login="none")[0]


def test_nothing_is_kept_without_a_place(disk: Path) -> None:
    """Keeping writes needs a recipe's build directory; for a bare file it is refused."""
    with pytest.raises(BootsmithError, match="cannot be kept"):
        run.run(machine(keep=True), Subject(disk), print_only=True)


def test_kept_writes_go_beside_the_image(disk: Path) -> None:
    """With `keep` the guest writes into run.qcow2 and a copy of the variables; the image is only read (L17)."""
    command = printed(disk, keep=True)[0]
    folder = disk.parent / "run"
    assert f"format=qcow2,snapshot=off,cache=writeback,file={folder}/run.qcow2" in command
    assert f"unit=1,file={folder}/run.vars.fd" in command
    assert (folder / "run.vars.fd").read_bytes() == b"variables"
    inode = (folder / "run.qcow2").stat().st_ino
    printed(disk, keep=True)
    assert (folder / "run.qcow2").stat().st_ino == inode


def test_kept_writes_do_not_outlive_their_image(disk: Path) -> None:
    """Writes kept over an image that changed since are refused, saying what to remove."""
    printed(disk, keep=True)
    os.utime(disk, ns=(1, 1))
    with pytest.raises(BootsmithError, match=r"earlier disk\.img.*\n.*rm .*run\.qcow2"):
        printed(disk, keep=True)


def test_the_image_is_locked_while_it_runs(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a guest runs a build cannot have the image to itself; afterwards it can."""
    tried: list[bool] = []

    def spawn(_argv: list[str], **_: object) -> int:
        with disk.open("rb") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                tried.append(True)
            except BlockingIOError:
                tried.append(False)
        return 7

    monkeypatch.setattr(run.popen, "spawn_interactive", spawn)
    assert run.run(machine(), Subject(disk), say=lambda _: None) == 7
    spawn([])
    assert tried == [False, True]


def test_temporary_keys_do_not_stay(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder for it the key lives in a temporary one, and is gone after the run."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    seen: list[bool] = []

    def spawn(_argv: list[str], **_: object) -> int:
        seen.append(any((tmp_path / "temporary").rglob("ssh_key")))
        return 0

    monkeypatch.setattr(run.popen, "spawn_interactive", spawn)
    run.run(machine(login="auto"), Subject(disk), say=lambda _: None)
    assert seen == [True]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_shares_are_served_for_the_run(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run serves folders by virtiofsd and says how to mount them; a command for later shares by QEMU alone."""
    told: list[str] = []
    share = {"work": disk.parent, "odd": disk.parent / "a,b"}
    share["odd"].mkdir()

    def spawn(argv: list[str], pass_fds: Sequence[int] = ()) -> int:
        fd = int(next(word for word in argv if word.startswith("socket,id=share0")).partition("fd=")[2])
        assert fd in pass_fds
        with socket.socket(fileno=os.dup(fd)) as client:
            assert (client.family, client.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(60)
            client.sendall(struct.pack("<III", 1, 1, 0))  # vhost-user: what do you have?
            assert struct.unpack("<III", client.recv(12)) == (1, 5, 8)
        return 0

    monkeypatch.setattr(run.popen, "spawn_interactive", spawn)
    run.run(machine(share=share), Subject(disk), say=told.append)
    assert f"{disk.parent} in the guest: mount -t virtiofs work /mnt" in told
    assert f"{disk.parent}/a,b in the guest: mount -t 9p -o trans=virtio,version=9p2000.L odd /mnt" in told
    assert not any("vhost-user" in text for text in printed(disk, share=share))


def test_what_does_not_go_together_is_refused(disk: Path) -> None:
    """A board without firmware under firmware, and Secure Boot where nothing verifies, are refused beforehand."""
    with pytest.raises(UsageError, match="microvm"):
        run.run(machine(type="microvm"), Subject(disk), print_only=True)
    with pytest.raises(UsageError, match="Secure Boot"):
        run.run(machine(secure_boot=True), Subject(disk, kind="bios"), print_only=True)
    with pytest.raises(UsageError, match="Secure Boot"):
        run.run(machine(secure_boot=True, type="pc"), Subject(disk), print_only=True)


@pytest.mark.parametrize(
    ("board", "rate", "words"),
    [
        ("microvm", 2596124, "quiet tsc_early_khz=2596124 tsc=reliable"),
        ("microvm", 0, "quiet"),
        ("q35", 2596124, "quiet"),
    ],
)
def test_a_microvm_under_tcg_is_told_its_clock(
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    board: str,
    rate: int,
    words: str,
) -> None:
    """A board on which Linux would stand still under TCG tells it the clock; where that cannot be, this is said."""
    monkeypatch.setattr(microvm_clock, "_rate", lambda _: rate)
    told: list[str] = []
    subject = Subject(None, kind="direct", kernel=qemu.Kernel(disk, None, "quiet"))
    assert run.run(machine(type=board), subject, print_only=True, say=told.append) == 0
    argv = shlex.split(next(text for text in told if qemu.PROGRAM in text).replace("\\\n", ""))
    assert argv[argv.index("-append") + 1] == words
    assert any(text.startswith("microvm under TCG") for text in told) is (board == "microvm" and not rate)


def test_a_microvm_hands_on_no_credentials(disk: Path) -> None:
    """A board without SMBIOS has no way in by credentials: none is prepared, and that is said."""
    told: list[str] = []
    subject = Subject(None, kind="direct", kernel=qemu.Kernel(disk, None, ""))
    asked = machine(type="microvm", login="auto")
    assert run.run(asked, subject, folder=disk.parent / "run", print_only=True, say=told.append) == 0
    assert any(text.startswith("a microvm hands on no credentials") for text in told)
    assert not any("smbios" in text or "hostfwd" in text for text in told)
    assert not (disk.parent / "run/ssh_key").exists()


def test_another_architecture_another_program(disk: Path) -> None:
    """An i386 recipe runs on qemu-system-i386 (L20)."""
    told: list[str] = []
    assert run.run(machine(), Subject(disk, arch="i386"), print_only=True, say=told.append) == 0
    assert any("qemu-system-i386" in text for text in told)


def test_debug_goes_to_the_build_directory(disk: Path) -> None:
    """What QEMU logs on demand is below the build directory, and where is said (L12)."""
    command, *notes = printed(disk, debug="int")
    assert f"-D {disk.parent}/run/debug.log" in command
    assert f"QEMU's log (int) is written to {disk.parent}/run/debug.log" in notes


def test_a_running_machine_is_noted(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs `ssh` can find it, with its port and key; afterwards it cannot (A12)."""
    seen: list[running.Noted] = []
    register = disk.parent / "register"

    def spawn(_argv: list[str], **_: object) -> int:
        seen.extend(running.find(register))
        return 0

    monkeypatch.setattr(run.popen, "spawn_interactive", spawn)
    subject = Subject(disk, recipe=Path("/r/minimal.yaml"))
    run.run(machine(login="auto"), subject, folder=disk.parent / "run", register=register, say=lambda _: None)
    (found,) = seen
    assert (found.recipe, found.what, found.pid) == (Path("/r/minimal.yaml"), "disk.img", os.getpid())
    assert found.key.read_text().startswith("-----BEGIN")
    assert running.find(register) == []


def test_a_share_s_socket_has_a_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep temporary files are: the name of a socket holds 107 bytes. None of them is left."""
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with shares.served({"work": tmp_path}) as sockets:
        assert set(sockets) == {"work"}
    assert list(deep.iterdir()) == []


def test_a_daemon_that_cannot_work_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where virtiofsd ends at once, QEMU shares the folder itself, and the user is told why."""
    broken = tmp_path / "virtiofsd"
    broken.write_text("#!/bin/sh\necho no namespaces here >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shares, "PLACES", (str(tmp_path / "none"), str(broken)))
    told: list[str] = []
    with shares.served({"work": tmp_path}, told.append) as sockets:
        assert sockets == {}
    assert told == [f"virtiofsd cannot share {tmp_path}, so QEMU does: no namespaces here"]


def test_writes_of_a_kernel_s_disk_are_kept_too(disk: Path) -> None:
    """`--keep` without firmware keeps the disk alone (L17)."""
    told: list[str] = []
    folder = disk.parent / "run"
    kernel = qemu.Kernel(disk, None, "")
    subject = Subject(disk, kind="direct", kernel=kernel)
    assert run.run(machine(keep=True), subject, folder=folder, print_only=True, say=told.append) == 0
    assert f"snapshot=off,cache=writeback,file={folder}/run.qcow2" in "".join(told)
    assert not list(folder.glob("run.vars*"))
