"""The boot test: an image passes on evidence from inside the guest, and on nothing else.

Evidence is what the guest printed after its kernel took over (`test.expect`, in order) and a random number that the
guest prints (the nonce): no menu, firmware or stale log can know it. systemd is given a unit that prints it; any other
init finds it as the chassis' asset tag (docs/how-to/boot-test.md). A guest that prints none is judged by its
expectations alone, and the verdict says so.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from bootsmith.cache.files import temporary
from bootsmith.tasks.disk import image_format
from bootsmith.tasks.errors import BootsmithError, TestFailed
from bootsmith.tasks.machine import changed_firmware, guest, microvm_clock, qemu
from bootsmith.tasks.machine.boot_run import BootRun, Unmet, began
from bootsmith.tasks.machine.boot_setup import BootSetup
from bootsmith.tasks.machine.console import Console
from bootsmith.tasks.machine.console_messages import STARVED, Phase
from bootsmith.tasks.machine.credentials import Asked, credentials
from bootsmith.tasks.machine.verdict import Verdict, Verdicts
from bootsmith.tasks.tools import host

LOG, SCREENSHOT, RESULT, TIMING = "serial.log", "screenshot.png", "result.json", "timing.txt"
Boot: TypeAlias = Callable[[BootSetup, Path, Callable[[str], None]], Verdict]
ATTEMPTS = 3  # at a boot that a busy host spoils


class Starved(TestFailed):
    """The boot failed, and not by the image's fault: the host had no time for the machine."""


def prove(
    setup: BootSetup,
    out: Path,
    *,
    verdicts: Verdicts | None = None,
    force: bool = False,
    boot: Boot | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Return the verdict that `verdicts` keep for the very same setup, unless `force`; else boot it.

    Either way the directory `out` holds what that boot left. Raises as `boot` does.
    """
    key = verdicts.key(setup) if verdicts else None
    clear(out)
    if verdicts and key and not force and (known := verdicts.recall(key, out)):
        _note_cached(out / RESULT)
        return known
    try:
        verdict = _boot(setup, out, boot or boot_and_judge, say)
    except TestFailed:
        if verdicts and key:
            verdicts.forget(key)
        raise
    if verdicts and key and verdicts.key(setup) == key:  # else something was edited while the guest ran
        verdicts.keep(key, verdict)
    return verdict


def _boot(setup: BootSetup, out: Path, boot: Boot, say: Callable[[str], None]) -> Verdict:
    for _ in range(ATTEMPTS - 1):
        try:
            return boot(setup, out, say)
        except Starved as starved:
            say(f"{starved.message.partition(chr(10))[0]}: booting again")
            clear(out)
    return boot(setup, out, say)


def clear(out: Path) -> None:
    """Make the directory, without what an earlier test left in it."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (LOG, SCREENSHOT, RESULT, TIMING):
        (out / name).unlink(missing_ok=True)


def _note_cached(result: Path) -> None:
    """Say in the result that it is an earlier boot's."""
    if result.exists():
        result.write_text(json.dumps({**json.loads(result.read_text()), "cached": True}, indent=2) + "\n")


def boot_and_judge(setup: BootSetup, out: Path, say: Callable[[str], None]) -> Verdict:
    """Boot without a display and judge what the guest does; the image is not changed.

    Log, screenshot, times and result.json are left in `out`. Raises TestFailed with the phase reached and the last
    lines, and BootsmithError where no machine can be had.
    """
    nonce = secrets.token_hex(8)
    program = host.find(setup.program)
    disk = setup.subject.disk
    test = setup.test
    direct = setup.subject.kind == "direct"
    kernel = microvm_clock.told(setup.machine, setup.accel, setup.subject.kernel)
    with contextlib.ExitStack() as stack:
        firmware = setup.firmware
        if firmware and setup.entry and setup.entry.way == "variable":
            folder = stack.enter_context(temporary.folder())
            firmware = changed_firmware.with_entry(firmware, setup.entry.file, folder)

        secret = [stack.enter_context(setup.subject.passphrase.pipe())] if setup.subject.passphrase else []

        def command(chardevs: qemu.Chardevs) -> list[str]:
            words = qemu.command(
                setup.machine, disk=disk and disk.absolute(), format=setup.subject.format, firmware=firmware,
                accel=setup.accel, kernel=kernel, program=program, chardevs=chardevs,
                credentials=credentials(Asked(nonce=nonce)), ports=qemu.Ports(), reboot=False,
                passphrase=secret[0] if secret else None, sector=setup.subject.sector,
            )  # fmt: skip
            return [*words, "-smbios", f"type=3,asset={nonce}"]

        if disk:
            stack.enter_context(image_format.in_use(disk, say))
        console = Console(test.fail, began=test.began, direct=direct)
        has_text = setup.subject.kind != "uefi" and setup.machine.gpu != "none"
        booted = stack.enter_context(guest.start(command, console, out / LOG, text_screen=has_text, pass_fds=secret))
        run = BootRun(
            booted, test, nonce, patience=setup.accel.patience, password=setup.password, entry=setup.entry, say=say
        )
        try:
            run.judge()
            booted.settle(0.2)
            reason = None
        except Unmet as unmet:
            booted.settle(1)
            reason = guest.explain_early_end(booted) or unmet
        if test.screenshot and not booted.ended:
            booted.screenshot(out / SCREENSHOT)
    return _Outcome(setup, run, reason, out).conclude()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A boot that is over; `reason` is why it failed."""

    setup: BootSetup
    run: BootRun
    reason: BootsmithError | None
    out: Path

    def conclude(self) -> Verdict:
        """Write what is to be left and return the verdict, or raise TestFailed."""
        took = round(self.run.booted.now(), 1)
        now = datetime.now(UTC)
        phases = {str(phase): round(at, 1) for phase, at in sorted(self.run.booted.console.phases.items())}
        (self.out / TIMING).write_text(table(self._times(took)))
        (self.out / RESULT).write_text(json.dumps(self._result(phases, took, now), indent=2) + "\n")
        kept = {name: self.out / name for name in (LOG, SCREENSHOT, RESULT, TIMING) if (self.out / name).exists()}
        if self.reason is None:
            evidence = tuple(self.run.evidence)
            return Verdict(took, phases, evidence, self.setup.accel.kind, kept, now.timestamp())
        raise self._failure(phases, kept)

    @property
    def _phase(self) -> str:
        """The phase in which it ended: where nothing was printed at all, the firmware's."""
        return str(self.run.booted.console.phase or Phase.FIRMWARE)

    def _times(self, took: float) -> dict[str, tuple[float, float]]:
        """Return when each part of the boot began and ended: the last with the last expectation met."""
        starts = {part: round(at, 1) for part, at in began(self.run.booted.console.phases).items()}
        met = self.run.expected.met
        end = round(met[-1], 1) if met and not self.reason else took
        ends = [*list(starts.values())[1:], end]
        return {part: (start, max(start, end)) for (part, start), end in zip(starts.items(), ends, strict=True)}

    def _result(self, phases: Mapping[str, float], took: float, now: datetime) -> dict[str, object]:
        run, setup = self.run, self.setup
        failure = self.reason.failure if isinstance(self.reason, Unmet) else None
        return {
            "verdict": "failed" if self.reason else "passed",
            "reason": self.reason.message if self.reason else None,
            "kind": failure.kind if failure else "qemu" if self.reason else None,
            "phase": self._phase,
            "phases": dict(phases),
            "took": {part: round(end - start, 1) for part, (start, end) in self._times(took).items()},
            "seconds": took,
            "evidence": run.evidence,
            "expected": [
                {
                    "pattern": pattern,
                    "met": round(run.expected.met[n], 1) if n < len(run.expected.met) else None,
                }
                for n, pattern in enumerate(run.expected.patterns)
            ],
            "keys": f"{run.typist.typed} of {len(setup.test.keys)} typed",
            "ran": [{"command": command, "status": status, "output": output} for command, status, output in run.ran],
            "firmware": setup.subject.kind,
            "entry": setup.entry.name if setup.entry else None,
            "accelerator": asdict(setup.accel),
            "at": now.isoformat(timespec="seconds"),
            "cached": False,
        }

    def _failure(self, phases: Mapping[str, float], kept: Mapping[str, Path]) -> TestFailed:
        assert self.reason is not None, "it failed"
        console = self.run.booted.console
        reached = ", ".join(f"{phase} at {at:.0f} s" for phase, at in phases.items()) or "nothing was printed at all"
        lines = "".join(f"\n  | {self.run.shown(line)}" for line in console.last_lines)
        how = f"{self.setup.subject.kind}, {self.setup.accel.kind}"
        failure = self.reason.failure if isinstance(self.reason, Unmet) else None
        kind = Starved if failure and failure.kind == STARVED else TestFailed
        return kind(
            f"the boot failed in phase {self._phase} ({how}): {self.reason.message}\n  reached: {reached}{lines}",
            f"Kept: {' and '.join(str(kept[name]) for name in (LOG, SCREENSHOT) if name in kept)}",
        )


def table(times: Mapping[str, tuple[float, float]]) -> str:
    """Return what each part of a boot took, as a table for people."""
    rows = [f"{part:<12}{start:>8.1f} s{end - start:>8.1f} s" for part, (start, end) in times.items()]
    total = max(end for _, end in times.values())
    return "\n".join([f"{'phase':<12}{'began':>10}{'took':>10}", *rows, f"{'all':<12}{'':>10}{total:>8.1f} s"]) + "\n"
