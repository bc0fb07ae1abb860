"""A machine on the user's terminal: its command printed, its image left as it is, loopback ports only."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.files import temporary
from bootsmith.tasks.disk import image_format
from bootsmith.tasks.disk import passphrase as passphrases
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import BootsmithError, UsageError
from bootsmith.tasks.machine import accelerator, firmware, microvm_clock, overlay, ports, qemu, running, shares, ssh
from bootsmith.tasks.machine.credentials import Asked, credentials
from bootsmith.tasks.recipe.model.machine import Machine
from bootsmith.tasks.tools import host, popen

SSH = 22


@dataclass(frozen=True, slots=True)
class Subject:
    """What a machine is made around: a disk in QEMU's `format` (or "iso"), and what starts it.

    `kernel` goes with the kind "direct"; `recipe` is the file of the recipe it comes from, `certificate` that of the
    key it is signed with, `program` the path of an EFI program for which the firmware needs an entry, `passphrase` what
    opens an encrypted disk, whose sectors have `sector` bytes. With `writes` the guest writes to the disk itself.
    """

    disk: Path | None
    format: str = "raw"
    kind: firmware.Kind = "uefi"
    kernel: qemu.Kernel | None = None
    arch: str = "amd64"
    recipe: Path | None = None
    certificate: Path | None = None
    program: str | None = None
    writes: bool = False
    passphrase: Passphrase | None = None
    sector: int = 512

    @property
    def name(self) -> str:
        """The file it is, for people."""
        file = self.disk or (self.kernel.image if self.kernel else None)
        return file.name if file else "nothing"


class Background(NamedTuple):
    """How a machine runs apart from any terminal: what commands call it, and QEMU's end of its monitor.

    `attend` runs its command with descriptors, as it was noted, and returns QEMU's exit status.
    """

    name: str
    monitor: int
    attend: Callable[[list[str], Sequence[int], running.Noted | None], int]


def run(
    machine: Machine,
    subject: Subject,
    *,
    folder: Path | None = None,
    register: Path | None = None,
    print_only: bool = False,
    say: Callable[[str], None] = print,
    answer: Callable[[str], None] | None = None,
    started: Callable[[], None] = lambda: None,
    background: Background | None = None,
) -> int:
    """Run a machine until the user ends it; return QEMU's exit status. Raises BootsmithError.

    That is on the user's terminal, or in the `background`.

    With `print_only` it is only told how it would be run: the command is the `answer`, all else is said.

    `folder` is where the ssh key, and with `machine.keep` the guest's writes, are left; without it there is a temporary
    one for as long as the guest runs, and nothing is kept. While it runs it is noted in the directory `register`, and
    that it `started` is told when there is no more to wait for.
    """
    if machine.keep and folder is None:
        raise BootsmithError(
            f"what a guest writes to {subject.name} cannot be kept: no recipe, no place for it",
            "Leave out --keep, or copy the file.",
        )
    with contextlib.ExitStack() as stack:
        if folder is None and not print_only:
            folder = stack.enter_context(temporary.folder())
        if subject.disk:
            subject = replace(subject, disk=subject.disk.absolute())
            stack.enter_context(image_format.in_use(subject.disk or Path(), say))
        sockets, take = {}, ports.is_free
        if not print_only:
            sockets = stack.enter_context(shares.served(machine.share, say))
            take = stack.enter_context(ports.Holding()).take
            if machine.keep and folder:
                stack.enter_context(overlay.alone(folder))
        monitor = background.monitor if background else None
        prepared = prepare(machine, subject, folder=folder, say=say, sockets=sockets, is_free=take, monitor=monitor)
        passphrase, argv, descriptors = subject.passphrase, prepared.argv, [*sockets.values()]
        command = qemu.printable(argv) + (passphrase.here_document if passphrase else "")
        (answer if answer and print_only else say)(command)
        for note in prepared.notes:
            say(note)
        if print_only:
            return 0
        noted = _note(stack, register, _noted(machine, subject, prepared, background))
        started()
        if passphrase:
            descriptors.append(stack.enter_context(passphrase.pipe()))
            printed, real = passphrases.definition(passphrases.SHOWN), passphrases.definition(descriptors[-1])
            argv = [real if word == printed else word for word in argv]
        if background:
            return background.attend(argv, [*descriptors, background.monitor], noted)
        return popen.spawn_interactive(argv, pass_fds=descriptors)


def _note(stack: contextlib.ExitStack, register: Path | None, machine: running.Noted) -> running.Noted | None:
    return stack.enter_context(running.note(register, machine)) if register else None


def _noted(machine: Machine, subject: Subject, prepared: Prepared, background: Background | None) -> running.Noted:
    key = prepared.key if prepared.ssh_port else None
    return running.Noted(
        subject.recipe, subject.name, prepared.ssh_port if key else None, key.private if key else None, os.getpid(),
        name=background.name if background else "", ports=prepared.ports.forward, detached=background is not None,
        console=None if machine.serial == "stdio" else Path(machine.serial).absolute(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run about to start: its command, the ports it was given, its ssh key, and what the user should know."""

    argv: list[str]
    ports: qemu.Ports
    key: ssh.Key | None
    notes: tuple[str, ...]

    @property
    def ssh_port(self) -> int | None:
        """The port of this host that leads to the guest's ssh server."""
        return next((port for port, guest in self.ports.forward if guest == SSH), None)


def prepare(
    machine: Machine,
    subject: Subject,
    *,
    folder: Path | None,
    say: Callable[[str], None],
    chardevs: qemu.Chardevs | None = None,
    sockets: Mapping[str, int] | None = None,
    is_free: Callable[[int], bool] | None = None,
    monitor: int | None = None,
) -> Prepared:
    """Make ready what a run needs; with `chardevs` it is without a terminal, without `folder` it has no ssh key.

    `sockets` are those at which virtiofsd serves folders, by tag;
    `is_free` tells whether a port can be had; `monitor` is the descriptor of QEMU's, where it runs in the background.
    """
    _check(machine, subject.kind)
    code = firmware_of(machine, subject) if subject.kind == "uefi" else None
    accel = accelerator.choose(machine.accel, smm=code is not None and code.secure)
    if accel.note:
        say(accel.note)
    kernel = microvm_clock.told(machine, accel, subject.kernel)
    if microvm_clock.is_missing(machine, accel, kernel):
        say("microvm under TCG: Linux has no clock there to measure others by, and may stand still; --type q35 has one")
    if machine.type == "microvm" and machine.login == "auto":
        say("a microvm hands on no credentials (it has no SMBIOS): who may log in is the image's affair")
        machine = replace(machine, login="none")
    key = None
    if machine.login == "auto" and machine.nic != "none" and folder:
        key = ssh.key(folder.absolute())
        if SSH not in (guest for _, guest in machine.forward):
            machine = replace(machine, forward=(*machine.forward, (2222, SSH)))
    asked = Asked(autologin=machine.login == "auto", ssh_key=key.public if key else "")
    given = free_ports(machine, say, is_free)
    disk, form = subject.disk, subject.format
    if machine.keep and folder and disk and form != "iso":
        disk, code = overlay.kept(disk, form, code, folder.absolute(), subject.passphrase)
        form = "qcow2"
    snapshot = not (machine.keep or subject.writes)
    argv = qemu.command(
        machine, disk=disk, format=form, firmware=code, accel=accel, kernel=kernel, snapshot=snapshot,
        chardevs=chardevs, credentials=credentials(asked), ports=given, program=host.find(qemu.PROGRAMS[subject.arch]),
        debug=(folder / "debug.log").absolute() if folder else None, sockets=sockets,
        passphrase=passphrases.SHOWN if subject.passphrase else None, monitor=monitor,
        sector=subject.sector,
    )  # fmt: skip
    mounts = _mounts(machine, sockets or {})
    ends = () if monitor is not None else _ends(machine)
    return Prepared(argv, given, key, (*mounts, *_notes(machine, given, key, disk, folder), *ends))


def _check(machine: Machine, kind: firmware.Kind) -> None:
    if machine.type == "microvm" and kind != "direct":
        raise UsageError("microvm starts kernels directly, without firmware", "Use `doit run-direct`, or --type q35.")
    if machine.secure_boot and (kind != "uefi" or machine.type != "q35"):
        raise UsageError("Secure Boot is for UEFI on q35", "Use `doit run-uefi` with --type q35.")


def firmware_of(machine: Machine, subject: Subject) -> firmware.Firmware:
    """Return the UEFI firmware of a machine: with keys, and with an entry for what it finds not by itself, if asked."""
    from bootsmith.tasks.machine import changed_firmware

    found = firmware.find(secure_boot=machine.secure_boot)
    if machine.secure_boot:
        found = changed_firmware.with_keys(found, subject.certificate)
    return changed_firmware.with_program(found, subject.program) if subject.program else found


def free_ports(
    machine: Machine, say: Callable[[str], None], is_free: Callable[[int], bool] | None = None
) -> qemu.Ports:
    """Return the ports the machine asks for, those that are taken replaced by free ones."""
    is_free = is_free or ports.is_free
    taken: set[int] = set()

    def pick(wanted: int, what: str) -> int:
        port = wanted
        while port in taken or not is_free(port):
            port = port + 1 if 1024 <= port < 65535 else 2222  # below 1024 only root may bind
        taken.add(port)
        if port != wanted:
            say(f"port {wanted} cannot be had, so {what} gets {port}")
        return port

    return qemu.Ports(
        tuple((pick(port, f"the guest's port {guest}"), guest) for port, guest in machine.forward),
        vnc=pick(qemu.VNC, "VNC") if machine.display == "vnc" else qemu.VNC,
        gdb=pick(qemu.GDB, "gdb") if machine.gdb else qemu.GDB,
    )


def _mounts(machine: Machine, sockets: Mapping[str, int]) -> Iterator[str]:
    for tag, path in machine.share.items():
        how = "virtiofs" if tag in sockets else "9p -o trans=virtio,version=9p2000.L"
        yield f"{path} in the guest: mount -t {how} {tag} /mnt"


def _notes(
    machine: Machine, ports: qemu.Ports, key: ssh.Key | None, disk: Path | None, folder: Path | None
) -> Iterator[str]:
    for port, guest in ports.forward:
        yield f"127.0.0.1:{port} leads to the guest's port {guest}"
        if key and guest == SSH:
            yield f"  {shlex.join(ssh.command(port, key.private))}"
    if machine.debug and folder:
        yield f"QEMU's log ({machine.debug}) is written to {folder / 'debug.log'}"
    if machine.keep and disk:
        yield f"what the guest writes is kept in {disk}"
    if machine.display == "vnc":
        yield f"VNC: 127.0.0.1:{ports.vnc}"
    if machine.gdb:
        yield f"gdb -ex 'target remote 127.0.0.1:{ports.gdb}'  (the machine waits for it, then for `continue`)"


def _ends(machine: Machine) -> Iterator[str]:
    """Yield how a machine on this terminal is ended."""
    if machine.serial == "stdio":
        yield f"Ctrl-A X ends the machine{', Ctrl-A C is its monitor' if machine.monitor else ''}"
    elif machine.monitor:
        yield f"the console is written to {machine.serial}; here is the monitor: `quit` ends the machine"
    else:
        yield f"the console is written to {machine.serial}; Ctrl-C ends the machine"
