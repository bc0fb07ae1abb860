"""The boot test: an image passes on evidence from inside the guest, and on nothing else.

Evidence is what the guest printed after its kernel took over (`test.expect`, in order) and a random number that a unit
of ours in the guest prints (the nonce): no menu, firmware or stale log can know it. A guest whose init cannot take the
unit is judged by what it printed alone, and the verdict says so.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bootsmith.tasks.errors import BootsmithError, TestFailed
from bootsmith.tasks.machine import accelerator, firmware, guest, image, qemu
from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.machine.credentials import Asked, credentials
from bootsmith.tasks.machine.trial import Trial, Unmet
from bootsmith.tasks.recipe.model import Machine, Test
from bootsmith.tasks.tools import host


@dataclass(frozen=True, slots=True)
class Verdict:
    """A boot that passed. `phases` are the seconds at which each was reached, `evidence` what convinced us."""

    seconds: float
    phases: dict[str, float]
    evidence: tuple[str, ...]
    accelerator: str
    log: Path
    screenshot: Path | None

    @property
    def summary(self) -> str:
        phase, at = list(self.phases.items())[-1]
        return f"{phase} reached in {at:.0f} s, {', '.join(self.evidence)} ({self.accelerator})"


def qemu_test(
    machine: Machine,
    test: Test,
    *,
    disk: Path,
    format: str,  # noqa: A002  the word of the recipe and of QEMU
    out: Path,
    password: bytes = b"",
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Boot `disk` without a display and judge it by `test`; `password` is the one of `test.login`.

    The log, the screenshot and result.json are left in the directory `out`. The image is not changed. Raises TestFailed
    with the phase reached and the last lines, and BootsmithError where no machine can be had.
    """
    accel = accelerator.choose(machine.accel)
    if accel.note:
        say(accel.note)
    nonce = secrets.token_hex(8)
    program = host.find(qemu.PROGRAM)
    found = firmware.find()
    headless = replace(
        machine, display="none", monitor=False, gdb=False, serial="stdio",
        gpu="std" if test.screenshot and machine.gpu == "none" else machine.gpu,
    )  # fmt: skip

    def command(wires: qemu.Wires) -> list[str]:
        return qemu.command(
            headless, disk=disk.absolute(), format=format, firmware=found, accel=accel, program=program, wires=wires,
            credentials=credentials(Asked(nonce=nonce)), ports=qemu.Ports(), reboot=False,
        )  # fmt: skip

    files = _Files(out)
    files.clear()
    with image.in_use(disk, say), guest.start(command, Console(test.fail), files.log) as booted:
        trial = Trial(booted, test, nonce, patience=accel.patience, password=password, say=say)
        try:
            trial.judge()
            booted.settle(0.2)
            reason = None
        except Unmet as unmet:
            booted.settle(1)
            reason = guest.explain_early_end(booted) or unmet
        files.pictured = test.screenshot and not booted.ended and booted.screenshot(files.screenshot)
    return _conclude(trial, reason, accel, files)


@dataclass(slots=True)
class _Files:
    """What a test leaves behind, in one directory."""

    folder: Path
    pictured: bool = False

    @property
    def log(self) -> Path:
        return self.folder / "serial.log"

    @property
    def screenshot(self) -> Path:
        return self.folder / "screenshot.png"

    @property
    def result(self) -> Path:
        return self.folder / "result.json"

    def clear(self) -> None:
        """Make the directory, without what an earlier test left in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in (self.log, self.screenshot, self.result):
            file.unlink(missing_ok=True)


def _conclude(trial: Trial, reason: BootsmithError | None, accel: Accel, files: _Files) -> Verdict:
    """Write result.json and return the verdict, or raise TestFailed."""
    console = trial.booted.console
    took = trial.booted.now()
    phases = {str(phase): round(at, 1) for phase, at in sorted(console.phases.items())}
    failure = reason.failure if isinstance(reason, Unmet) else None
    result = {
        "verdict": "failed" if reason else "passed",
        "reason": reason.message if reason else None,
        "kind": failure.kind if failure else "qemu" if reason else None,
        "phase": str(console.phase),
        "phases": phases,
        "seconds": round(took, 1),
        "evidence": trial.evidence,
        "expected": [
            {"pattern": pattern, "met": round(trial.expected.met[n], 1) if n < len(trial.expected.met) else None}
            for n, pattern in enumerate(trial.expected.patterns)
        ],
        "ran": [{"command": command, "status": status, "output": output} for command, status, output in trial.ran],
        "accelerator": asdict(accel),
    }
    files.result.write_text(json.dumps(result, indent=2) + "\n")
    picture = files.screenshot if files.pictured else None
    if reason is None:
        return Verdict(round(took, 1), phases, tuple(trial.evidence), accel.kind, files.log, picture)
    reached = ", ".join(f"{phase} at {at:.0f} s" for phase, at in phases.items()) or "nothing was printed at all"
    lines = "".join(f"\n  | {trial.shown(line)}" for line in console.last_lines)
    kept = " and ".join(str(file) for file in (files.log, picture) if file)
    raise TestFailed(
        f"the boot failed in phase {console.phase} ({accel.kind}): {reason.message}\n  reached: {reached}{lines}",
        f"Kept: {kept}",
    )
