"""KVM is believed in only after a guest ran under it, and the answer is remembered."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import psutil
import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import accelerator, qemu
from bootsmith.tasks.machine.accelerator import KVM, Accel
from bootsmith.tasks.tools import host, popen

from tests.support.machine_keys import machine

STALLS = "a one-sector guest did not come to its end in 2 s"


class FakeQemu:
    """A QEMU whose smoke guests end as told, the last one again and again."""

    def __init__(self, *answers: str, version: tuple[int, ...] = (9, 2), identity: str = "qemu-1") -> None:
        self.tried = 0
        self.smm = False
        self._answers = list(answers)
        self._version = version
        self._identity = identity

    def identity(self) -> str:
        return self._identity

    def version(self) -> tuple[int, ...]:
        return self._version

    def smoke(self, seconds: float, *, smm: bool) -> str:
        assert seconds == 2
        self.tried += 1
        self.smm = smm
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture(name="device")
def fixture_device(tmp_path: Path) -> Path:
    device = tmp_path / "kvm"
    device.touch()
    return device


def choose(tmp_path: Path, qemu: FakeQemu, wanted: Any = "auto", boot: str = "boot-1", device: str = "kvm") -> Accel:
    memory = tmp_path / "cache/accelerator.json"
    return accelerator.choose(wanted, memory=memory, boot_id=boot, device=tmp_path / device, qemu=qemu)


@pytest.mark.usefixtures("device")
def test_kvm_is_used_where_a_guest_ran(tmp_path: Path) -> None:
    """A guest that reached its end under KVM makes KVM the choice, with the host's own CPU."""
    assert choose(tmp_path, FakeQemu("")) == KVM == Accel("kvm", "host")


@pytest.mark.usefixtures("device")
def test_kvm_that_runs_no_guest_falls_back_and_says_so(tmp_path: Path) -> None:
    """A KVM that opens and then stalls is not used; the note says what was tried."""
    assert choose(tmp_path, FakeQemu(STALLS)) == Accel("tcg", "max", f"no KVM, so TCG, which takes longer: {STALLS}")


def test_no_device_no_try(tmp_path: Path) -> None:
    """Without /dev/kvm nothing is tried."""
    qemu = FakeQemu("")
    assert choose(tmp_path, qemu).note.endswith("kvm does not exist")
    assert qemu.tried == 0


@pytest.mark.usefixtures("device")
def test_one_lost_race_is_forgiven(tmp_path: Path) -> None:
    """A guest that ends in time only at the second try still counts: the host may have been busy."""
    assert choose(tmp_path, FakeQemu(STALLS, "")) == KVM


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("answer", ["", STALLS])
def test_the_answer_is_remembered(tmp_path: Path, answer: str) -> None:
    """The same QEMU on the same boot of the host is not tried again, whatever the answer was."""
    first = choose(tmp_path, FakeQemu(answer))
    again = FakeQemu("no guest may be started")
    assert choose(tmp_path, again) == first
    assert again.tried == 0


@pytest.mark.usefixtures("device")
def test_system_management_mode_is_asked_for_by_itself(tmp_path: Path) -> None:
    """A KVM that runs guests and has no such mode runs all but those that need it; both answers are remembered."""
    lacking = FakeQemu("QEMU ended with status 1: System Management Mode not supported by this hypervisor.")
    memory = tmp_path / "kvm.json"
    for _ in range(2):
        for smm, asked, kind in ((False, FakeQemu(""), "kvm"), (True, lacking, "tcg")):
            found = accelerator.choose(
                "auto", smm=smm, memory=memory, boot_id="boot-1", device=tmp_path / "kvm", qemu=asked
            )
            assert (found.kind, asked.smm) == (kind, smm)
            assert ("System Management Mode" in found.note) == smm
    assert lacking.tried == 2  # of one question
    words = accelerator.smoke_command(Path("/usr/bin/qemu"), Path("/t/smoke.img"), smm=True)
    assert words[words.index("-machine") + 1] == "q35,smm=on"


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("change", [{"boot": "boot-2"}, {"identity": "qemu-2"}])
def test_a_new_boot_or_qemu_is_tried_anew(tmp_path: Path, change: dict[str, str]) -> None:
    """After the host booted again, or QEMU changed, the old answer counts for nothing."""
    choose(tmp_path, FakeQemu(STALLS))
    qemu = FakeQemu("", identity=change.get("identity", "qemu-1"))
    assert choose(tmp_path, qemu, boot=change.get("boot", "boot-1")) == KVM


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"boot": "boot-1"}', '{"boot": "boot-1", "qemu": 3}'])
def test_a_broken_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    """A damaged file of answers costs a try, nothing else, and is replaced."""
    memory = tmp_path / "cache/accelerator.json"
    memory.parent.mkdir()
    memory.write_text(content)
    assert choose(tmp_path, FakeQemu("")) == KVM
    assert json.loads(memory.read_text()) == {"boot": "boot-1", "qemu": {"qemu-1": {"kvm": ""}}}


@pytest.mark.usefixtures("device")
def test_a_memory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    """Where the cache directory cannot be made the answer still comes."""
    (tmp_path / "cache").write_text("a file in its place")
    assert choose(tmp_path, FakeQemu("")) == KVM


@pytest.mark.usefixtures("device")
def test_demanded_kvm_is_refused_with_the_reason(tmp_path: Path) -> None:
    """`accel: kvm` without a working KVM fails before anything starts, says why, and tries afresh each time."""
    choose(tmp_path, FakeQemu(STALLS))
    with pytest.raises(BootsmithError, match=r"KVM does not work here: it is broken\n.*`accel` at auto"):
        choose(tmp_path, FakeQemu("it is broken"), "kvm")
    assert choose(tmp_path, FakeQemu(""), "kvm") == KVM


@pytest.mark.usefixtures("device")
def test_tcg_on_demand_tries_nothing(tmp_path: Path) -> None:
    """`accel: tcg` is taken at its word, without a note."""
    qemu = FakeQemu("")
    assert choose(tmp_path, qemu, "tcg") == Accel("tcg", "max")
    assert qemu.tried == 0


@pytest.mark.parametrize(("version", "cpu"), [((7, 2), "max,cx16=off"), ((8, 0), "max"), ((10, 1), "max")])
def test_the_cpu_avoids_an_instruction_old_qemus_break(tmp_path: Path, version: tuple[int, ...], cpu: str) -> None:
    """Before QEMU 8 TCG's cmpxchg16b corrupts flags, and Linux 6.12 panics: the CPU goes without it."""
    assert choose(tmp_path, FakeQemu("", version=version), "tcg").cpu == cpu


@pytest.mark.parametrize(
    ("version", "threads"), [((7, 2), "single"), ((8, 0), "single"), ((8, 1), "multi"), ((10, 0), "multi")]
)
def test_old_qemus_run_all_processors_in_one_thread(tmp_path: Path, version: tuple[int, ...], threads: str) -> None:
    """Before QEMU 8.1 code that one processor of the guest patches may stay as it was for another: Linux panics."""
    found = choose(tmp_path, FakeQemu("", version=version), "tcg")
    assert found.words == ["-accel", f"tcg,thread={threads},tb-size=512"]


def test_limits_grow_under_tcg() -> None:
    """A recipe's time limits are doubled where the guest runs slower."""
    assert (KVM.patience, Accel("tcg", "max").patience) == (1, 2)


def test_the_smoke_guest_reaches_its_end(tmp_path: Path) -> None:
    """The smoke guest really runs: under TCG it ends QEMU with the status the probe waits for."""
    guest = tmp_path / "smoke.img"
    accelerator.write_smoke_guest(guest)
    words = accelerator.smoke_command(host.find("qemu-system-x86_64"), guest)
    under_tcg = {"kvm": "tcg", KVM.cpu: "max"}
    with popen.start([under_tcg.get(word, word) for word in words]) as running:
        assert running.wait(60) == accelerator.SMOKE_STATUS


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("exec sleep 1000", "a one-sector guest did not come to its end in 0.5 s"),
        (
            "trap '' TERM; echo $$ > PID; while :; do sleep 1000; done",
            "a one-sector guest did not come to its end in 0.5 s",
        ),
        (
            "echo 'qemu: failed to initialize kvm: busy' >&2; exit 1",
            "QEMU ended with status 1: failed to initialize kvm: busy",
        ),
        ("kill -ABRT $$", "QEMU ended with status 134: it said nothing"),
        ("exit 0", "QEMU ended with status 0: it said nothing"),
        (f"exit {accelerator.SMOKE_STATUS}", ""),
    ],
)
def test_a_real_process_is_judged(tmp_path: Path, script: str, answer: str) -> None:
    """A QEMU that stalls is killed and its guest did not run; so is one that dies; the one status alone counts."""
    program, pid = tmp_path / "qemu", tmp_path / "pid"
    program.write_text("#!/bin/sh\n" + script.replace("PID", str(pid)) + "\n")
    program.chmod(0o755)
    qemu = accelerator.HostQemu(program)
    assert qemu.smoke(0.5, smm=False) == answer
    if pid.exists():
        assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_the_device_of_this_host_is_judged_by_a_guest(tmp_path: Path) -> None:
    """What the kernel here has as /dev/kvm is used if it runs a guest, and else for no reason but a true one.

    Where it opens and stalls, as KVM that another hypervisor emulates, a real guest under it is waited for and killed.
    """
    device, memory = Path("/dev/kvm"), tmp_path / "accelerator.json"
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    found = accelerator.choose("auto", memory=memory)
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before
    if found.kind == "kvm":
        assert found == KVM == accelerator.choose("kvm", memory=memory)
        return
    _, _, reason = found.note.partition("no KVM, so TCG, which takes longer: ")
    if not device.exists():
        assert reason == "/dev/kvm does not exist"
    elif not os.access(device, os.R_OK | os.W_OK):
        assert reason == "/dev/kvm may not be opened by you (are you in the group kvm?)"
    else:
        assert re.fullmatch(rf"{STALLS}|QEMU ended with status \d+: .+", reason)
        noted = json.loads(memory.read_text())["qemu"]
        assert [each["kvm"] for each in noted.values()] == [reason]
    with pytest.raises(BootsmithError, match="KVM does not work here: "):
        accelerator.choose("kvm", memory=memory)


@pytest.mark.parametrize("cpu", ["host", "qemu64"])
def test_no_guest_under_kvm_outlives_its_probe(monkeypatch: pytest.MonkeyPatch, cpu: str) -> None:
    """A real guest under what this host calls KVM ends with the one status, or by itself, or is killed in time.

    KVM that another hypervisor emulates may refuse one processor, and stall with another.
    """
    monkeypatch.setattr(accelerator, "KVM", Accel("kvm", cpu))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    answer = accelerator.HostQemu(host.find("qemu-system-x86_64")).smoke(1, smm=False)
    assert re.fullmatch(r"|a one-sector guest did not come to its end in 1 s|QEMU ended with status \d+: .+", answer)
    assert answer or Path("/dev/kvm").exists()
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before


def test_what_asks_for_kvm() -> None:
    """A machine under KVM has the host's own processor, and the smoke guest is run by the very same words."""
    asked = ["-accel", "kvm", "-cpu", "host"]
    smoke = accelerator.smoke_command(Path("/usr/bin/qemu"), Path("/t/smoke.img"))
    assert smoke == [
        "/usr/bin/qemu", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35", *asked,
        "-smp", "2", "-m", "64M", "-drive", "if=none,id=disk,file=/t/smoke.img,format=raw,snapshot=on",
        "-device", "ide-hd,drive=disk,bootindex=0", "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
    ]  # fmt: skip
    for board in ("q35", "pc", "microvm"):
        words = qemu.command(machine(type=board), disk=None, firmware=None, accel=KVM)
        assert words[words.index("-accel") :][:4] == asked
        assert not any("tcg" in word for word in words)
    own = qemu.command(machine(cpu="Skylake-Server"), disk=None, firmware=None, accel=KVM)
    assert own[own.index("-cpu") + 1] == "Skylake-Server"


def test_the_qemu_of_this_host_is_known() -> None:
    """Version and identity are read from the QEMU that is installed."""
    qemu = accelerator.HostQemu(host.find("qemu-system-x86_64"))
    assert qemu.version() >= (5, 0)
    assert qemu.identity().startswith("/")
