"""What firmware, loaders, kernels, initrds and inits print on a console: how far a boot is, and what it died of.

The trap all of this is built around: firmware and loaders print the recipe's own words (menu titles, a command line to
edit). So the patterns of a guest are looked for in a guest's lines only, and those that make a guest stand at the very
start of a line, where no menu paints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum


class Phase(IntEnum):
    """How far a boot got."""

    NOTHING = 0
    FIRMWARE = 1
    LOADER = 2
    KERNEL = 3
    INITRD = 4
    USERSPACE = 5
    LOGIN = 6

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a boot cannot succeed any more: a `kind` for programs, `what` for people."""

    kind: str
    what: str


_PRINTK = r"\[ *\d+\.\d{6}\](?:\[ *[CT]\d+\])? "
_STATUS = r"\[(?:  OK  |FAILED|DEPEND)\] "
_MACH = r"GNU Mach \d|biosmem: |vm_page: "

GUEST = re.compile(rf"{_PRINTK}|{_STATUS}|EFI stub: |Loading, please wait\.\.\.|Begin: |INIT: version |{_MACH}")
"""Lines that only a kernel, an initrd or an init prints, at the very start of a line."""

MACH = re.compile(_MACH)
"""Of these, the ones of a kernel that is no Linux."""

LOADER_PHASES: tuple[tuple[Phase, re.Pattern[str]], ...] = (
    (Phase.LOADER, re.compile(
        r'BdsDxe: starting Boot\w+ (?!"EFI Internal Shell)|GNU GRUB'
        r"|Welcome to GRUB|^GRUB(?: |$)|Boot in \d+ s|^SYSLINUX \d|^EXTLINUX \d|^ISOLINUX \d"
    )),
)  # fmt: skip
GUEST_PHASES: tuple[tuple[Phase, re.Pattern[str]], ...] = (
    (Phase.INITRD, re.compile(rf"^{_PRINTK}Run /init as init|^Loading, please wait\.\.\.|^Begin: |dracut-")),
    (Phase.USERSPACE, re.compile(
        rf"^{_PRINTK}(?:Run /(?:usr/)?(?:s?bin|etc)/\S+ as init|systemd\[1\]: (?!.*initrd))"
        rf"|^{_STATUS}|^Welcome to .*!$|^INIT: version |^task loaded: |^start \S+: "
    )),
    (Phase.LOGIN, re.compile(r"^(?!Last )\S+ login: ")),
)  # fmt: skip

STUCK_EARLY: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("secure boot", "firmware refused the loader (Secure Boot)", re.compile(
        r"^BdsDxe: failed to (?:load|start) Boot\w+ .*: (?:Access Denied|Security Violation)"
        r"|^Error loading .*: Access denied"
    )),
    ("no bootable device", "the firmware found nothing to boot", re.compile(
        r"BdsDxe: No bootable option or device|^No bootable device|^UEFI Interactive Shell v|>>Start PXE over"
        r"|^Boot failed: not a bootable disk|^This is not a bootable disk"
    )),
    ("loader", "the loader stopped at its own prompt", re.compile(r"^grub(?: rescue)?> ")),
    ("loader", "the loader could not boot any entry", re.compile(
        r"^ *Failed to boot both default and fallback|^Could not find kernel image: "
        r"|^No DEFAULT or UI configuration directive found"
    )),
    ("loader", "the boot sector found no loader", re.compile(
        r"^Missing operating system|^Operating system load error|^Multiple active partitions|^GRUB .*Error"
        r"|^ERROR: No configuration file found|^Invalid or corrupt kernel image|^Failed to load ldlinux"
    )),
)  # fmt: skip
STARVED = "starved"
"""The kind of a failure that is not the image's: Linux counts a timer's ticks while the host runs something else."""
STUCK: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    (STARVED, "the host gave the machine no time, and its timer seemed to stand still", re.compile(
        r"Kernel panic - not syncing: IO-APIC \+ timer doesn't work"
    )),
    ("kernel panic", "the kernel panicked", re.compile(
        r"Kernel panic - not syncing|^panic(?: \S+:\d+|\s?\(cpu \d+\)): "  # Linux; Mach
    )),
    ("initramfs shell", "the initrd stopped in its own shell, without the root filesystem", re.compile(
        r"^\(initramfs\) |^ALERT! .*does not exist|^dracut:/# |dracut-initqueue\[\d+\]: Warning: Could not boot"
    )),
    ("emergency shell", "systemd stopped in the emergency or rescue shell", re.compile(
        r"You are in (?:emergency|rescue) mode|Cannot open access to console, the root account is locked"
        r"|Give root password for maintenance|Press Enter for (?:system )?maintenance"
    )),
    ("no space", "the guest's disk is full", re.compile(r"No space left on device")),
)  # fmt: skip
NO_SERIAL = re.compile(r"Timed out waiting for device .*dev[-/]ttyS0|dev-ttyS0\.device: Job .*timed out")
"""systemd gave up on the serial port, and starts no getty there: as on a host too busy to let udev name it in time."""
PROMPT = re.compile(r"^(?:grub(?: rescue)?> |\(initramfs\) |dracut:/# |\S+ login: )$")
"""Lines that wait for an answer: they are judged although they do not end."""
ECHO = re.compile(r"^ *Booting [`']")
"""GRUB repeats the title of the entry it boots."""
COMPLAINT = re.compile(
    r"^error: |^BdsDxe: failed to |^(?:Error|Failed to) \w+|^Boot failed|: Not [Ff]ound\b"
    r"|^Booting kernel failed|^Failed to load |^Unknown keyword in configuration"
)
"""What firmware and loaders say when something is missing; they may well go on and boot."""
LAMENT = re.compile(
    r"Invalid module format|[Ii]nvalid ELF header|disagrees about version of symbol|Initramfs unpacking failed"
    r"|rootfs image is not initramfs|Cannot open root device|EXT4-fs .*(?:error|Can't find)|No working init found"
    r"|Failed to execute /|^mount: .*failed|^insmod: |^modprobe: (?:ERROR|FATAL)"
)
"""What a guest says of the cause, before it dies of the consequence."""


def stuck(line: str, patterns: Iterable[tuple[str, str, re.Pattern[str]]]) -> Failure | None:
    """Return the failure that a line tells of, if it does."""
    for kind, what, pattern in patterns:
        if pattern.search(line):
            return Failure(kind, f"{what}: {line.strip()}")
    return None


def phases(line: str, *, guest: bool) -> Iterator[Phase]:
    """Yield the phases that a line of the guest, or of what came before it, shows to be reached."""
    for phase, pattern in GUEST_PHASES if guest else LOADER_PHASES:
        if pattern.search(line):
            yield phase
