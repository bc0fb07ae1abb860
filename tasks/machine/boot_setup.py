"""One boot to be judged: what is booted, in which machine, and what is demanded of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.machine import accelerator, qemu
from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.entry import EntryChoice
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.machine.run import Subject, firmware_of
from bootsmith.tasks.recipe.model.machine import Machine, Test

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Json


@dataclass(frozen=True, slots=True)
class BootSetup:
    """A boot that is fully determined, up to chance. `password` is the one of `test.login`.

    `entry` None leaves the menu alone. `program` is QEMU's name in the catalogue of tools.
    """

    subject: Subject
    machine: Machine
    test: Test
    accel: Accel
    firmware: Firmware | None = None
    entry: EntryChoice | None = None
    password: bytes = field(default=b"", repr=False)
    program: str = qemu.PROGRAM

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that QEMU is given, by what they are."""
        found = {"disk": self.subject.disk}
        if kernel := self.subject.kernel:
            found |= {"kernel": kernel.image, "initrd": kernel.initrd}
        if self.firmware:
            found |= {"firmware": self.firmware.code, "variables": self.firmware.variables}
        return {role: path for role, path in found.items() if path is not None}

    @property
    def settings(self) -> Mapping[str, Json]:
        """What else decides how it boots, besides machine and test."""
        return {
            "kind": self.subject.kind,
            "format": self.subject.format,
            "sector": self.subject.sector,
            "cmdline": self.subject.kernel.cmdline if self.subject.kernel else None,
            "secure": self.firmware.secure if self.firmware else False,
            "entry": self.entry.loader if self.entry else None,
        }


def prepare(
    machine: Machine,
    test: Test,
    subject: Subject,
    *,
    entry: EntryChoice | None = None,
    password: bytes = b"",
    say: Callable[[str], None] = lambda _: None,
) -> BootSetup:
    """Return the setup of a boot on this host. Raises BootsmithError where no such machine can be had."""
    found = firmware_of(machine, subject) if subject.kind == "uefi" else None
    accel = accelerator.choose(machine.accel, smm=found is not None and found.secure)
    if accel.note:
        say(accel.note)
    seen = machine.type != "microvm" and (test.screenshot or subject.kind == "bios")  # a BIOS talks to the screen only
    headless = replace(
        machine, display="none", monitor=False, gdb=False, debug=None, serial="stdio", forward=(), keep=False,
        login="none", gpu="std" if seen and machine.gpu == "none" else machine.gpu,
    )  # fmt: skip
    program = qemu.PROGRAMS[subject.arch]
    return BootSetup(subject, headless, test, accel, found, entry, password, program)
