"""Real machines, with guests of one sector: what QEMU does is what the command line promises."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.disk import image_format, passphrase
from bootsmith.tasks.errors import TestFailed
from bootsmith.tasks.machine import boot_setup, boot_test, guest, overlay, qemu, shares
from bootsmith.tasks.machine.accelerator import Accel, choose
from bootsmith.tasks.machine.boot_run import BootRun, Unmet
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.machine.guest import Guest
from bootsmith.tasks.machine.run import Subject

from tests.support import other_process
from tests.support.machine_keys import demands, machine
from tests.support.printing_disks import alphabets, encrypted, printing_disk
from tests.support.scripted_guests import KERNEL

pytestmark = pytest.mark.boot
LONG = 120  # seconds: how long a busy host may take for what takes it less than one when idle


@pytest.fixture(name="accel", scope="module")
def fixture_accel(tmp_path_factory: pytest.TempPathFactory) -> Accel:
    return choose("tcg", memory=tmp_path_factory.mktemp("cache") / "accelerator.json")


@contextlib.contextmanager
def booted(
    disk: Path, accel: Accel, *, log: Path | None = None, form: str = "raw", snapshot: bool = True, **keys: Any
) -> Iterator[Guest]:
    """Run a disk under SeaBIOS."""

    def command(chardevs: qemu.Chardevs) -> list[str]:
        return qemu.command(
            machine(**keys), disk=disk, format=form, firmware=None, accel=accel, snapshot=snapshot, chardevs=chardevs
        )

    with guest.start(command, Console(), log or disk.with_suffix(".log")) as running:
        yield running


def until(running: Guest, done: Callable[[], bool]) -> None:
    """Read what a guest prints until `done`."""
    end = time.monotonic() + LONG
    while not done():
        assert time.monotonic() < end, running.console.last_lines
        assert not running.ended, running.status()
        running.pump(1)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("board", ["q35", "pc"])
@pytest.mark.parametrize("drive", ["virtio", "ide", "sata", "nvme", "scsi"])
def test_every_drive_boots_on_every_board(tmp_path: Path, accel: Accel, drive: str, board: str) -> None:
    """Every way to attach the disk gives a machine that boots from it, and leaves it as it was (L12)."""
    disk = written(tmp_path / "disk.raw", printing_disk("hello from the disk"))
    log = tmp_path / "serial.log"
    with booted(disk, accel, log=log, drive=drive, type=board, memory=64 << 20) as running:
        until(running, lambda: "hello from the disk" in running.console.heard)
    assert disk.read_bytes() == printing_disk("hello from the disk")
    assert b"hello from the disk" in log.read_bytes()


def test_a_qcow2_boots_and_stays_as_it_is(tmp_path: Path, accel: Accel) -> None:
    """The same disk as qcow2 boots; not a byte of the file changes although the guest writes."""
    raw, disk = written(tmp_path / "disk.raw", printing_disk("hello")), tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    before = disk.read_bytes()
    with booted(disk, accel, form=image_format.identify(disk)) as running:
        until(running, lambda: "hello" in running.console.heard)
    assert disk.read_bytes() == before


@pytest.mark.parametrize("keep", [False, True])
def test_an_encrypted_disk_boots(tmp_path: Path, accel: Accel, keep: bool) -> None:
    """A guest reads and writes an encrypted disk; what it writes is kept encrypted too, or not at all (L17)."""
    raw = written(tmp_path / "disk.raw", printing_disk("hello from the safe"))
    disk = encrypted(raw, tmp_path / "disk.qcow2", "sesame")
    key = passphrase.Passphrase(Secret(env="KEY"), b"sesame")
    before, over = disk.read_bytes(), disk
    if keep:
        over, _ = overlay.kept(disk, "qcow2", None, tmp_path / "run", key)
    with key.pipe() as fd:

        def command(chardevs: qemu.Chardevs) -> list[str]:
            return qemu.command(
                machine(), disk=over, format=image_format.identify(disk, opens=True), firmware=None, accel=accel,
                snapshot=not keep, chardevs=chardevs, passphrase=fd,
            )  # fmt: skip

        with guest.start(command, Console(), tmp_path / "log", pass_fds=[fd]) as running:
            until(running, lambda: "hello from the safe" in running.console.heard)
            assert b"sesame" not in Path(f"/proc/{running.pid}/cmdline").read_bytes()
    assert disk.read_bytes() == before
    if keep:
        assert b"hello from" not in over.read_bytes()
        with key.pipe() as fd:
            options = (
                f"driver=qcow2,file.filename={over},encrypt.key-secret=passphrase,backing.encrypt.key-secret=passphrase"
            )
            words = ["--object", passphrase.definition(fd), "--image-opts", options, "-O", "raw", tmp_path / "seen.raw"]
            subprocess.run(["qemu-img", "convert", *words], check=True, pass_fds=[fd])
        assert (tmp_path / "seen.raw").read_bytes()[512:1024] == raw.read_bytes()[:512]


@pytest.mark.parametrize(("drive", "board"), [("virtio", "q35"), ("ide", "pc"), ("scsi", "q35")])
def test_a_cd_boots(tmp_path: Path, accel: Accel, drive: str, board: str) -> None:
    """An ISO is a CD, started by its boot catalog, on each controller that a CD can have (W6)."""
    sectors = {
        16: b"\x01CD001\x01",
        17: b"\x00CD001\x01EL TORITO SPECIFICATION".ljust(0x47, b"\0") + struct.pack("<I", 20),
        18: b"\xffCD001\x01",
        20: _validation() + struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, 4, 21).ljust(32, b"\0"),
        21: printing_disk("hello from the CD")[:512],
    }
    content = bytearray(1 << 20)
    for number, data in sectors.items():
        content[number * 2048 : number * 2048 + len(data)] = data
    cd = written(tmp_path / "cd.iso", bytes(content))
    with booted(cd, accel, form=image_format.identify(cd), drive=drive, type=board) as running:
        until(running, lambda: "hello from the CD" in running.console.heard)


def _validation() -> bytes:
    """Return El Torito's validation entry, whose 16-bit words come to nothing."""
    entry = bytearray(b"\x01".ljust(30, b"\0") + b"\x55\xaa")
    struct.pack_into("<H", entry, 28, -sum(struct.unpack("<16H", entry)) & 0xFFFF)
    return bytes(entry)


def test_a_shared_folder(tmp_path: Path, accel: Accel) -> None:
    """QEMU starts with a folder served by virtiofsd and another that it shares by itself."""
    disk = written(tmp_path / "disk.raw", printing_disk("hello"))
    share = {"one": tmp_path, "two": tmp_path}
    with shares.served({"one": tmp_path}) as sockets:
        assert set(sockets) == {"one"}

        def command(chardevs: qemu.Chardevs) -> list[str]:
            return qemu.command(
                machine(share=share), disk=disk, firmware=None, accel=accel, chardevs=chardevs, sockets=sockets
            )

        with guest.start(command, Console(), tmp_path / "log", pass_fds=[*sockets.values()]) as running:
            until(running, lambda: "hello" in running.console.heard)


def test_kept_writes_reach_the_overlay_alone(tmp_path: Path, accel: Accel) -> None:
    """What a guest writes with `keep` is in the overlay afterwards, and not in the image (L17)."""
    content = printing_disk("hello")
    disk, spare = written(tmp_path / "disk.raw", content), written(tmp_path / "VARS.fd", b"")
    over, _ = overlay.kept(disk, "raw", Firmware(spare, spare), tmp_path / "run")
    with booted(over, accel, form="qcow2", snapshot=False) as running:
        until(running, lambda: "hello" in running.console.heard)
    assert disk.read_bytes() == content
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", over, tmp_path / "seen.raw"], check=True)
    seen = (tmp_path / "seen.raw").read_bytes()
    assert seen[512:1024] == content[:512]


def verdict(tmp_path: Path, accel: Accel, text: str, **test: Any) -> Unmet:
    """Return why a disk that prints `text` does not pass."""
    disk = written(tmp_path / "disk.raw", printing_disk(text))
    with booted(disk, accel) as running, pytest.raises(Unmet) as caught:
        BootRun(running, demands(timeout=LONG, **test), "cafe01").judge()
    return caught.value


def test_a_silent_hang_is_recognised(tmp_path: Path, accel: Accel) -> None:
    """A guest that hangs without a word fails by silence, not by the long time limit."""
    assert verdict(tmp_path, accel, "", silence=3).failure.kind == "silence"


def test_a_menu_that_hangs_is_no_boot(tmp_path: Path, accel: Accel) -> None:
    """A real machine printing what a menu prints does not pass, whatever the title says."""
    menu = "\x1b[5;3H*Debian login: \x1b[6;3H[    0.000000] Linux version 6\r\n"
    assert verdict(tmp_path, accel, menu, silence=3).failure.kind == "silence"


def test_a_panic_is_recognised(tmp_path: Path, accel: Accel) -> None:
    """A real machine printing what a panicking kernel prints fails at once, quoting it (L7)."""
    text = KERNEL + "[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"
    failure = verdict(tmp_path, accel, text).failure
    assert failure.kind == "kernel panic"
    assert "Unable to mount root fs" in failure.what


def test_no_bootable_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty disk under OVMF: the failure names the phase, shows the last lines, keeps log, picture and result."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    disk = tmp_path / "disk.raw"
    disk.touch()
    os.truncate(disk, 64 << 20)
    out = tmp_path / "test"
    out.mkdir()
    (out / "serial.log").write_text("an earlier test's")
    with pytest.raises(TestFailed) as caught:
        boot_test.prove(boot_setup.prepare(machine(accel="tcg"), demands(timeout=LONG), Subject(disk)), out)
    assert "failed in phase firmware (uefi, tcg): the firmware found nothing to boot" in caught.value.message
    assert '\n  | BdsDxe: failed to load Boot0001 "UEFI Misc Device"' in caught.value.message
    assert caught.value.hint == f"Kept: {out}/serial.log and {out}/screenshot.png"
    assert b"BdsDxe" in (out / "serial.log").read_bytes()
    assert (out / "screenshot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    result = json.loads((out / "result.json").read_text())
    assert (result["verdict"], result["kind"], result["phase"]) == ("failed", "no bootable device", "firmware")
    assert result["expected"] == [{"pattern": "login:", "met": None}]
    assert set(result["phases"]) == {"firmware"}
    assert (out / "timing.txt").read_text().startswith("phase            began      took\nfirmware         0.0 s")


def test_no_bootable_device_under_a_bios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaBIOS says on its screen alone that it finds nothing: that is read, and waited for no longer."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    disk = written(tmp_path / "disk.raw", bytes(1 << 20))
    asked = demands(timeout=LONG, screenshot=False)
    with pytest.raises(TestFailed, match=r"failed in phase firmware \(bios, tcg\): the firmware found nothing to boot"):
        boot_test.prove(boot_setup.prepare(machine(accel="tcg"), asked, Subject(disk, kind="bios")), tmp_path / "test")
    result = json.loads((tmp_path / "test/result.json").read_text())
    assert (result["kind"], result["firmware"]) == ("no bootable device", "bios")


def test_a_machine_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word QEMU does not know fails the test with what QEMU said."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    disk = written(tmp_path / "disk.raw", printing_disk(""))
    with pytest.raises(TestFailed, match=r"QEMU ended with status 1: .*-bogus"):
        boot_test.prove(
            boot_setup.prepare(machine(accel="tcg", qemu=("-bogus",)), demands(), Subject(disk)), tmp_path / "test"
        )
    assert json.loads((tmp_path / "test/result.json").read_text())["kind"] == "qemu"
    assert "-bogus" in (tmp_path / "test/qemu.log").read_text()


def test_a_screenshot_of_a_real_screen(tmp_path: Path, accel: Accel) -> None:
    """What the machine's screen shows is saved as PNG; without a graphics card there is nothing to save."""
    disk = written(tmp_path / "disk.raw", printing_disk("hello"))
    for gpu, there in (("std", True), ("none", False)):
        with booted(disk, accel, gpu=gpu) as running:
            until(running, lambda: "hello" in running.console.heard)
            assert running.screenshot(tmp_path / f"{gpu}.png") is there
        assert (tmp_path / f"{gpu}.png").exists() is there


KILLED = """
import sys
from pathlib import Path
from tests.support.machine_keys import machine
from bootsmith.tasks.machine import guest, qemu
from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.console import Console
command = lambda chardevs: qemu.command(
    machine(), disk=Path(sys.argv[1]), format="raw", firmware=None, accel=Accel("tcg", "max"), chardevs=chardevs)
with guest.start(command, Console(), Path(sys.argv[1]).with_suffix(".log")) as running:
    while "hello" not in running.console.heard:
        running.pump(1)
    print(running.pid, flush=True)
    sys.stdin.read()
"""


def test_a_machine_dies_with_us(tmp_path: Path) -> None:
    """Killed with SIGKILL, we leave no QEMU behind, nor names in the temporary folder (L11)."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    disk = written(tmp_path / "disk.raw", printing_disk("hello"))
    checkout = Path(__file__).parents[2]
    env = os.environ | {
        "PYTHONPATH": f"{checkout / 'src'}:{checkout}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, disk], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
    )
    assert other_process.dies_with(child, LONG)
    assert not list(temporary.iterdir())


def test_what_is_printed_while_nobody_reads_is_not_lost(tmp_path: Path, accel: Accel) -> None:
    """A kernel's first lines come whole, on a busy host too: one hole in them, and an expectation is not met."""
    letters, log = bytes(ord("a") + n % 26 for n in range(40_000)) + b".", tmp_path / "log"
    with booted(written(tmp_path / "disk.raw", alphabets(40_000)), accel, log=log) as running:
        until(running, lambda: b"a" in log.read_bytes())
        time.sleep(2)
        until(running, lambda: log.read_bytes().endswith(b"."))
    assert letters in log.read_bytes()
