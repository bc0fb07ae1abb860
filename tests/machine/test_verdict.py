"""Cached verdicts: the very same boot is not booted again, any other is, and only what passed is kept."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bootsmith.cache.digest.memo import Memo
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import TestFailed
from bootsmith.tasks.machine import boot_test
from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.boot_setup import BootSetup
from bootsmith.tasks.machine.entry import EntryChoice
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.machine.qemu import Kernel
from bootsmith.tasks.machine.run import Subject
from bootsmith.tasks.machine.verdict import Verdict, Verdicts
from bootsmith.tasks.recipe.model.machine import Login
from bootsmith.tasks.tools import identity

from tests.support.machine_keys import TCG, demands, machine


class Boots:
    """Boots that are made up: each leaves a log and a result, and fails where it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.fail = False
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, setup: BootSetup, out: Path, say: Callable[[str], None]) -> Verdict:
        del setup, say
        self.count += 1
        self.meanwhile()
        (out / "serial.log").write_text(f"boot {self.count}\n")
        (out / "result.json").write_text(json.dumps({"verdict": "passed", "cached": False}))
        if self.fail:
            raise TestFailed("it did not boot")
        files = {name: out / name for name in ("serial.log", "result.json")}
        return Verdict(14.0, {"login": 13.0}, ("nonce seen",), "tcg", files, time.time())


class Prover:
    """A store, files to boot from, and made-up boots of them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.boots = Boots()
        self.root = top / "store"
        for name in ("disk.raw", "vmlinuz", "initrd", "CODE.fd", "VARS.fd"):
            (top / name).write_text(name)
        kernel = Kernel(top / "vmlinuz", top / "initrd", "root=/dev/vda ro")
        login = Login("root", Secret(env="PW"))
        self.setup = BootSetup(
            Subject(top / "disk.raw", "raw", "uefi", kernel),
            machine(),
            demands(login=login),
            TCG,
            Firmware(top / "CODE.fd", top / "VARS.fd"),
            EntryChoice("systemd-boot", "debug"),
            b"sesame",
        )

    @property
    def out(self) -> Path:
        return self.top / "test"

    def prove(self, setup: BootSetup | None = None, *, force: bool = False) -> Verdict:
        """Prove a setup, with a memo of its own as a new process has."""
        verdicts = Verdicts(self.root, Memo(self.top / "memo"))
        return boot_test.prove(setup or self.setup, self.out, verdicts=verdicts, force=force, boot=self.boots)

    @property
    def kept(self) -> list[Path]:
        """The verdicts in the store."""
        return [path for path in (self.root / "verdicts").rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def fixture_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save reading all that QEMU brings along, and all our own modules, for every test anew."""
    monkeypatch.setattr(identity, "of_tool", lambda name, _memo: f"the {name} of this host")
    monkeypatch.setattr("bootsmith.cache.digest.code.module_identity", lambda name, **_: f"the code of {name}")


@pytest.fixture(name="prover")
def fixture_prover(tmp_path: Path) -> Prover:
    prover = Prover(tmp_path)
    assert not prover.prove().cached
    assert prover.boots.count == 1
    return prover


def test_the_same_boot_is_not_booted_again(prover: Prover) -> None:
    """What passed once passes again at once, and the directory holds what that boot left."""
    for name in ("serial.log", "result.json"):
        (prover.out / name).unlink()
    (prover.out / "screenshot.png").write_text("of another test")
    again = prover.prove()
    assert (again.cached, again.seconds, prover.boots.count) == (True, 14.0, 1)
    assert again.summary == "login reached in 13 s, nonce seen (tcg)"
    assert (prover.out / "serial.log").read_text() == "boot 1\n"
    assert json.loads((prover.out / "result.json").read_text()) == {"verdict": "passed", "cached": True}
    assert not (prover.out / "screenshot.png").exists()


def other(prover: Prover, **parts: Any) -> BootSetup:
    return replace(prover.setup, **parts)


def edited(name: str) -> Callable[[Prover], BootSetup]:
    """Return an edit of a file."""

    def edit(prover: Prover) -> BootSetup:
        (prover.top / name).write_text("edited")
        return prover.setup

    return edit


def copied(prover: Prover) -> BootSetup:
    """The same disk under another name."""
    (prover.top / "copy.raw").write_bytes((prover.top / "disk.raw").read_bytes())
    return other(prover, subject=replace(prover.setup.subject, disk=prover.top / "copy.raw"))


CHANGES: dict[str, Callable[[Prover], BootSetup]] = {
    "the disk": edited("disk.raw"),
    "the kernel": edited("vmlinuz"),
    "the initrd": edited("initrd"),
    "the firmware": edited("CODE.fd"),
    "its variables": edited("VARS.fd"),
    "no initrd": lambda b: other(
        b, subject=replace(b.setup.subject, kernel=Kernel(b.top / "vmlinuz", None, "root=/dev/vda ro"))
    ),
    "the command line": lambda b: other(
        b, subject=replace(b.setup.subject, kernel=Kernel(b.top / "vmlinuz", b.top / "initrd", "quiet"))
    ),
    "the kind of firmware": lambda b: other(b, subject=replace(b.setup.subject, kind="bios")),
    "the disk's format": lambda b: other(b, subject=replace(b.setup.subject, format="qcow2")),
    "a setting of the machine": lambda b: other(b, machine=machine(memory=2 << 30)),
    "an expectation": lambda b: other(b, test=replace(b.setup.test, expect=("up",))),
    "a limit": lambda b: other(b, test=replace(b.setup.test, limits={"kernel": 5})),
    "the password": lambda b: other(b, password=b"other"),
    "the passphrase": lambda b: other(
        b, subject=replace(b.setup.subject, passphrase=Passphrase(Secret(env="P"), b"open"))
    ),
    "who logs in": lambda b: other(b, test=replace(b.setup.test, login=Login("me", Secret(env="PW")))),
    "the entry": lambda b: other(b, test=replace(b.setup.test, entry="rescue")),
    "how it is chosen": lambda b: other(b, entry=EntryChoice("grub-efi", "debug")),
    "the accelerator": lambda b: other(b, accel=Accel("kvm", "max")),
    "its processor": lambda b: other(b, accel=Accel("tcg", "max,cx16=off")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_boot_depends_on_boots_again(prover: Prover, change: str) -> None:
    """Each thing that could make a boot end otherwise makes it boot again, and back as it was it is known again."""
    before = {path: path.read_bytes() for path in prover.top.iterdir() if path.is_file()}
    setup = CHANGES[change](prover)
    assert not prover.prove(setup).cached
    assert prover.prove(setup).cached
    for path, content in before.items():
        path.write_bytes(content)
    assert prover.prove().cached
    assert prover.boots.count == 2


def test_another_name_is_the_same_boot(prover: Prover) -> None:
    """Content counts, not paths: the same disk elsewhere is known."""
    assert prover.prove(copied(prover)).cached


@pytest.mark.parametrize("what", ["QEMU", "our own code"])
def test_other_programs_boot_again(prover: Prover, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Another QEMU, its SeaBIOS included, or another boot test of ours, boots again."""
    if what == "QEMU":
        monkeypatch.setattr(identity, "of_tool", lambda name, _memo: f"another {name}")
    else:
        monkeypatch.setattr("bootsmith.cache.digest.code.module_identity", lambda *_a, **_k: "edited")
    assert not prover.prove().cached


def test_forced_it_boots(prover: Prover) -> None:
    """`--force` boots what is known to pass."""
    assert not prover.prove(force=True).cached
    assert prover.boots.count == 2


def test_a_failure_is_never_kept(prover: Prover) -> None:
    """What failed boots again, and a pass that failed when forced is forgotten."""
    prover.boots.fail = True
    setup = other(prover, machine=machine(cpus=1))
    for _ in range(2):
        with pytest.raises(TestFailed):
            prover.prove(setup)
    assert prover.boots.count == 3
    assert len(prover.kept) == 1
    with pytest.raises(TestFailed):
        prover.prove(force=True)
    assert prover.kept == []
    with pytest.raises(TestFailed):
        prover.prove()


@pytest.mark.parametrize(("spoilt", "passes"), [(1, True), (2, True), (3, False)])
def test_a_boot_that_a_busy_host_spoilt_is_tried_again(prover: Prover, spoilt: int, passes: bool) -> None:
    """A timer that stood still is no fault of the image; a host that never has time is told."""
    said: list[str] = []
    tried = itertools.count()

    def boot(setup: BootSetup, out: Path, say: Callable[[str], None]) -> Verdict:
        if next(tried) < spoilt:
            (out / "screenshot.png").write_bytes(b"of a panic")
            raise boot_test.Starved("no time\n  reached: kernel")
        assert not (out / "screenshot.png").exists()
        return prover.boots(setup, out, say)

    with contextlib.nullcontext() if passes else pytest.raises(TestFailed, match="no time"):
        assert boot_test.prove(prover.setup, prover.out, boot=boot, say=said.append).evidence == ("nonce seen",)
    assert said == ["no time: booting again"] * min(spoilt, 2)


def test_an_image_edited_during_its_boot_is_not_believed(tmp_path: Path) -> None:
    """A verdict is kept only where what was booted is what is there afterwards."""
    prover = Prover(tmp_path)
    prover.boots.meanwhile = lambda: (tmp_path / "disk.raw").write_text("meanwhile")
    prover.prove()
    assert prover.kept == []


def test_what_qemu_may_be_told_of_files_is_not_cached(tmp_path: Path) -> None:
    """Further words for QEMU, or a folder of the host, may bring in files that no key knows: booted each time."""
    prover = Prover(tmp_path)
    for setup in (
        other(prover, machine=machine(qemu=("-device", "virtio-rng-pci"))),
        other(prover, machine=machine(share={"work": tmp_path})),
    ):
        assert not prover.prove(setup).cached
        assert not prover.prove(setup).cached
    assert prover.boots.count == 4


@pytest.mark.parametrize("damage", [b"", b"bootsmith verdict 1 00\n{}", None])
def test_a_damaged_verdict_is_none(prover: Prover, damage: bytes | None) -> None:
    """A verdict that is empty, does not match its checksum, or has one bit turned, is not believed."""
    (file,) = prover.kept
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content if damage is None else damage)
    assert not prover.prove().cached
    assert prover.prove().cached


def test_no_secret_is_in_a_verdict(prover: Prover) -> None:
    """The password enters the key by a digest that nobody can guess from, and the verdict not at all (C1)."""
    sealed = other(prover, subject=replace(prover.setup.subject, passphrase=Passphrase(Secret(env="P"), b"sesame")))
    prover.prove(sealed)
    parts = Verdicts(prover.root, Memo(prover.top / "memo")).parts(sealed)
    assert len(str(parts["passphrase"])) == 64
    assert "sesame" not in repr(parts)
    assert "sesame" not in repr(sealed)
    assert all(b"sesame" not in file.read_bytes() for file in prover.root.rglob("*") if file.is_file())
    assert not prover.kept[0].stat().st_mode & 0o077 or not prover.kept[0].parent.stat().st_mode & 0o077


def test_a_store_that_cannot_be_written_costs_booting(tmp_path: Path) -> None:
    """Where no verdict can be kept the test passes all the same."""
    prover = Prover(tmp_path)
    prover.root.mkdir()
    (prover.root / "verdicts").write_text("in the way")
    assert not prover.prove().cached
    assert not prover.prove().cached
