"""What runs the guest's instructions: KVM where it really works, else TCG.

/dev/kvm can exist, open, and still not run a guest (KVM emulated by another hypervisor: QEMU aborts, or the guest
crawls, a hundred times slower than TCG). So a guest of our own, one boot sector that has some work to do, has to reach
its end in two seconds before KVM is believed in; the answer is remembered until the host boots again or QEMU changes.
It is asked for by itself of a machine with system management mode, which not every KVM has.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bootsmith.cache.files import temporary
from bootsmith.cache.store.location import default_root
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.tools import host, popen, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

PATIENCE = {"kvm": 1, "tcg": 2}
"""Every time limit of a recipe is multiplied by this. A Debian that logs in after 3 s under KVM takes 15 to 30 s under
TCG; the limits recipes have by default leave room for that, so a factor of two is for a busy machine."""
SECONDS = 2.0
TRIES = 2

SMOKE_STATUS = 0x2A << 1 | 1  # isa-debug-exit: (value << 1) | 1
SMOKE_GUEST = bytes.fromhex("66b9 00000004 6649 75fc b02a e6f4 f4 ebfd").ljust(510, b"\0") + b"\x55\xaa"
"""A boot sector: mov ecx, 2**26; dec ecx; jnz back to it; mov al, 0x2a; out 0xf4, al; then hlt for ever.

Port 0xf4 is QEMU's isa-debug-exit. A processor counts down in some 50 ms, TCG in less than a second. A KVM that is
emulated instruction by instruction took a minute and a half, though an idle host had it through the firmware in two
seconds: without the loop it would be believed in.
"""


@dataclass(frozen=True, slots=True)
class Accel:
    """An accelerator that works here. `cpu` is the best CPU model under it; `note` tells the user why it is not KVM.

    `parallel` says that TCG may run each processor of the guest in a thread of its own.
    """

    kind: Literal["kvm", "tcg"]
    cpu: str
    note: str = ""
    parallel: bool = True

    @property
    def patience(self) -> int:
        return PATIENCE[self.kind]

    @property
    def words(self) -> list[str]:
        """The words that ask QEMU for it. Two MiB of code cache per MiB of kernel is not enough: 512 MiB is."""
        threads = "multi" if self.parallel else "single"
        return ["-accel", "kvm" if self.kind == "kvm" else f"tcg,thread={threads},tb-size=512"]


KVM = Accel("kvm", "host")


class Qemu(Protocol):
    """What the probe asks of the outside world."""

    def identity(self) -> str:
        """Return what changes when QEMU does."""
        ...

    def version(self) -> tuple[int, ...]: ...

    def smoke(self, seconds: float, *, smm: bool) -> str:
        """Run the smoke guest under KVM; return "" where it reached its end, else why not."""
        ...


@dataclass(frozen=True, slots=True)
class HostQemu:
    """The QEMU installed here."""

    program: Path

    def identity(self) -> str:
        real = self.program.resolve()
        found = real.stat()
        return f"{real}:{found.st_size}:{found.st_mtime_ns}"

    def version(self) -> tuple[int, ...]:
        answer = process.run([self.program, "--version"], env=ENVIRONMENT, cwd=Path("/"))
        found = re.search(rb"version (\d+)\.(\d+)", answer.stdout)
        return tuple(map(int, found.groups())) if found else (0, 0)

    def smoke(self, seconds: float, *, smm: bool) -> str:
        with temporary.folder() as folder:
            guest = folder / "smoke.img"
            write_smoke_guest(guest)
            errors = folder / "stderr"
            with popen.start(smoke_command(self.program, guest, smm=smm), stderr=errors) as running:
                status = running.wait(seconds)
            if status == SMOKE_STATUS:
                return ""
            if status is None:
                return f"a one-sector guest did not come to its end in {seconds:g} s"
            lines = errors.read_text(errors="replace").splitlines()
            said = lines[0].removeprefix(f"{self.program.name}: ") if lines else "it said nothing"
            return f"QEMU ended with status {status}: {said}"


def write_smoke_guest(guest: Path) -> None:
    """Write the smoke guest's disk. SeaBIOS does not boot from one that is smaller than 1 MiB."""
    guest.write_bytes(SMOKE_GUEST)
    os.truncate(guest, 1 << 20)


def smoke_command(program: Path, guest: Path, *, smm: bool = False) -> list[str]:
    """Return the command that boots the smoke guest just as a real guest would be booted under KVM."""
    return [
        str(program), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35,smm=on" if smm else "q35",
        *KVM.words, "-cpu", KVM.cpu, "-smp", "2", "-m", "64M",
        "-drive", f"if=none,id=disk,file={guest},format=raw,snapshot=on", "-device", "ide-hd,drive=disk,bootindex=0",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
    ]  # fmt: skip


def choose(
    wanted: Literal["auto", "kvm", "tcg"],
    *,
    smm: bool = False,
    memory: Path | None = None,
    boot_id: str | None = None,
    device: Path = Path("/dev/kvm"),
    qemu: Qemu | None = None,
) -> Accel:
    """Return the accelerator to use. Raises BootsmithError, saying why, where KVM is demanded and does not work.

    `smm` is for firmware that guards its keys by system management mode; `memory` is the file that remembers
    answers. A demand for KVM asks again where the remembered answer is no.
    """
    qemu = qemu or HostQemu(host.find("qemu-system-x86_64"))
    answers = _Answers(memory or default_root() / "accelerator.json", boot_id or _boot_id(), qemu.identity())
    refusal = "" if wanted == "tcg" else _why_not_kvm(device, qemu, answers, smm=smm, again=wanted == "kvm")
    if wanted == "kvm" and refusal:
        raise BootsmithError(
            f"KVM does not work here: {refusal}", "Leave `accel` at auto: TCG needs no KVM, it is slower."
        )
    if wanted != "tcg" and not refusal:
        return KVM
    note = f"no KVM, so TCG, which takes longer: {refusal}" if refusal else ""
    return _tcg(_version(qemu, answers), note)


def _why_not_kvm(device: Path, qemu: Qemu, answers: _Answers, *, smm: bool, again: bool) -> str:
    """Return "" where KVM runs a guest. Only what the smoke guest says is remembered: permissions change."""
    if not device.exists():
        return f"{device} does not exist"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be opened by you (are you in the group kvm?)"
    key = "kvm with smm" if smm else "kvm"
    known = answers.read(key)
    if known is None or (again and known):
        known = "nobody tried"
        for _ in range(TRIES):  # a busy machine may lose the first race; what does not work fails twice
            known = qemu.smoke(SECONDS, smm=smm)
            if not known:
                break
        answers.write(key, known)
    return known


def _version(qemu: Qemu, answers: _Answers) -> tuple[int, ...]:
    known = answers.read("version")
    if known is None:
        known = ".".join(map(str, qemu.version()))
        answers.write("version", known)
    return tuple(map(int, known.split(".")))


def _tcg(version: tuple[int, ...], note: str) -> Accel:
    """Return TCG as this QEMU can be trusted with it.

    Before QEMU 8 its cmpxchg16b leaves rubbish in the flags register until the next instruction that sets them: an
    interrupt in between gives the guest a trap flag, and Linux 6.12, whose memory allocator lives on that instruction,
    dies in about every second boot. Without the feature the allocator takes another way.

    Before QEMU 8.1 (its commit deba78709ae8) code may be translated while another processor of the guest writes it, and
    the old code stays: Linux patches its own code behind a breakpoint, meets that breakpoint when it is long gone, and
    dies, as one of some 150 boots did. In one thread for all processors nobody writes meanwhile. A boot on an idle host
    takes half as long again.
    """
    return Accel("tcg", "max" if version >= (8, 0) else "max,cx16=off", note, parallel=version >= (8, 1))


@dataclass(frozen=True, slots=True)
class _Answers:
    """What is remembered of one QEMU during one boot of the host. An unreadable file remembers nothing."""

    file: Path
    boot_id: str
    identity: str

    def _load(self) -> dict[str, dict[str, str]]:
        try:
            data = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return {}
        qemus = data.get("qemu") if isinstance(data, dict) and data.get("boot") == self.boot_id else None
        return qemus if isinstance(qemus, dict) else {}

    def read(self, key: str) -> str | None:
        return self._load().get(self.identity, {}).get(key)

    def write(self, key: str, value: str) -> None:
        data = self._load()
        data.setdefault(self.identity, {})[key] = value
        with contextlib.suppress(OSError):  # a cache directory that cannot be written to costs two seconds a run
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new = self.file.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps({"boot": self.boot_id, "qemu": data}))
            new.replace(self.file)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
