"""The QEMU command line around a disk image. Pure: it opens nothing and asks nothing of the host.

Whatever listens, listens on 127.0.0.1. The image is written to only where `snapshot` is False: else QEMU keeps the
guest's writes, and those to the firmware variables, in temporary files that nobody else sees.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootsmith.tasks.disk.passphrase import ID, definition
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.machine.accelerator import Accel
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.recipe.model.machine import Machine

PROGRAM = "qemu-system-x86_64"
PROGRAMS = {"amd64": PROGRAM, "i386": "qemu-system-i386"}
VNC = 5900
GDB = 1234
_MIB = 1 << 20
_SECTOR = 512  # bytes, what drives have by themselves

_DRIVES: Mapping[tuple[str, str], tuple[str, ...]] = {
    # (drive, machine type) -> its controller, where the board has none, and the disk itself
    ("virtio", "q35"): ("virtio-blk-pci,drive=disk",),
    ("virtio", "pc"): ("virtio-blk-pci,drive=disk",),
    ("virtio", "microvm"): ("virtio-blk-pci,drive=disk",),
    ("ide", "q35"): ("piix3-ide,id=ide", "ide-hd,drive=disk,bus=ide.0"),
    ("ide", "pc"): ("ide-hd,drive=disk,bus=ide.0",),
    ("sata", "q35"): ("ide-hd,drive=disk,bus=ide.0",),  # the board's own controller is AHCI, and its bus is called ide
    ("sata", "pc"): ("ich9-ahci,id=sata", "ide-hd,drive=disk,bus=sata.0"),
    ("nvme", "q35"): ("nvme,drive=disk,serial=bootsmith",),
    ("nvme", "pc"): ("nvme,drive=disk,serial=bootsmith",),
    ("nvme", "microvm"): ("nvme,drive=disk,serial=bootsmith",),
    ("scsi", "q35"): ("virtio-scsi-pci,id=scsi", "scsi-hd,drive=disk,bus=scsi.0"),
    ("scsi", "pc"): ("virtio-scsi-pci,id=scsi", "scsi-hd,drive=disk,bus=scsi.0"),
    ("scsi", "microvm"): ("virtio-scsi-pci,id=scsi", "scsi-hd,drive=disk,bus=scsi.0"),
}
_CD = "ide-cd,drive=disk,bus=ide.0"  # on either board
_SCSI_CD = ("virtio-scsi-pci,id=scsi", "scsi-cd,drive=disk,bus=scsi.0")
_DEVICES = {"virtio": "vda", "ide": "sda", "sata": "sda", "nvme": "nvme0n1", "scsi": "sda"}
_NICS = {"virtio": "virtio-net-pci", "e1000": "e1000"}
_GPUS = {"std": "VGA", "virtio": "virtio-vga"}


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of this host that the machine is given, all on 127.0.0.1; `forward` holds (host, guest) pairs."""

    forward: tuple[tuple[int, int], ...] = ()
    vnc: int = VNC
    gdb: int = GDB


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that QEMU starts by itself, without firmware or loader; `initrd` None: it needs none."""

    image: Path
    initrd: Path | None
    cmdline: str


@dataclass(frozen=True, slots=True)
class Chardevs:
    """What leads to us: named pipes, CONSOLE.in and CONSOLE.out, and two sockets that QEMU inherits, by descriptor.

    The sockets are the second serial port and the monitor (QMP).
    """

    console: Path
    second: int
    qmp: int


def command(
    machine: Machine,
    *,
    disk: Path | None,
    format: str = "raw",  # noqa: A002  the word of the recipe and of QEMU
    firmware: Firmware | None,
    accel: Accel,
    kernel: Kernel | None = None,
    snapshot: bool = True,
    credentials: Mapping[str, bytes] | None = None,
    chardevs: Chardevs | None = None,
    ports: Ports | None = None,
    sockets: Mapping[str, int] | None = None,
    debug: Path | None = None,
    reboot: bool = True,
    passphrase: int | None = None,
    monitor: int | None = None,
    sector: int = 512,
    program: str | Path = PROGRAM,
) -> list[str]:
    """Return the words that run `machine` with `disk`; without `firmware` under SeaBIOS.

    `format` may be "iso": a CD. `chardevs` stand in for the terminal. A tag among `sockets` is shared by the virtiofsd
    at that descriptor, any other by QEMU itself (9p). `debug` is the file that `machine.debug` goes to. Through the
    descriptor `passphrase` comes that of an encrypted disk, and of the overlay over it where there is no snapshot. The
    descriptor `monitor` is a socket that leads to us, as that of `chardevs`, where the console goes to a file. The disk
    has sectors of so many bytes. Raises UsageError where `machine.qemu` would take the terminal a second time, and for
    a drive that has no such sectors.
    """
    ports = ports or Ports(machine.forward)
    sockets = sockets or {}
    unlock = () if passphrase is None else ("",) if snapshot else ("", "backing.")
    return [
        str(program), "-nodefaults", "-no-user-config",
        "-machine", _board(machine, firmware, shared_memory=bool(sockets)), *accel.words,
        "-cpu", accel.cpu if machine.cpu == "best" else machine.cpu, "-smp", str(machine.cpus),
        "-m", _memory(machine),
        *_firmware(firmware, snapshot=snapshot),
        *_kernel(kernel),
        *(("-object", definition(passphrase)) if passphrase is not None else ()),
        *(_disk(machine, disk, format, snapshot=snapshot, first=not kernel, unlock=unlock, sector=sector)
          if disk else ()),
        *_network(machine, ports),
        *_shares(machine, sockets),
        *_display(machine, ports),
        *(_chardevs(chardevs) if chardevs else _console(machine)),
        *(_monitor(monitor) if monitor is not None else ()),
        *(("-gdb", f"tcp:127.0.0.1:{ports.gdb}", "-S") if machine.gdb else ()),
        *(("-d", machine.debug, "-D", str(debug)) if machine.debug and debug else ()),
        *_credentials(credentials or {}),
        *(() if reboot else ("-no-reboot",)),
        *machine.qemu,
    ]  # fmt: skip


def device(machine: Machine) -> str:
    """Return what Linux calls the machine's only disk, such as /dev/vda."""
    return f"/dev/{_DEVICES[machine.drive]}"


def printable(argv: Sequence[str]) -> str:
    """Return a command as one can paste it into a shell: one option a line."""
    lines: list[list[str]] = [[]]
    for word in argv:
        if word.startswith("-") and lines[-1]:
            lines.append([])
        lines[-1].append(word)
    return " \\\n  ".join(shlex.join(line) for line in lines)


def _value(text: str | Path) -> str:
    """Return a value for one of QEMU's option lists, where a comma is doubled."""
    return str(text).replace(",", ",,")


def _board(machine: Machine, firmware: Firmware | None, *, shared_memory: bool) -> str:
    words: list[str] = [machine.type]
    if machine.type == "microvm":
        words.append("pcie=on")
    if firmware and firmware.secure:
        words.append("smm=on")  # only code in system management mode may then change the keys
    if shared_memory:
        words.append("memory-backend=ram")
    return ",".join(words)


def _memory(machine: Machine) -> str:
    return f"{machine.memory // _MIB}M" if machine.memory % _MIB == 0 else f"{machine.memory}B"


def _firmware(firmware: Firmware | None, *, snapshot: bool) -> tuple[str, ...]:
    if firmware is None:
        return ()
    flash = f"if=pflash,format={firmware.format}"
    return (
        *(("-global", "driver=cfi.pflash01,property=secure,value=on") if firmware.secure else ()),
        "-drive", f"{flash},unit=0,readonly=on,file={_value(firmware.code)}",
        "-drive", f"{flash},unit=1,{'snapshot=on,' if snapshot else ''}file={_value(firmware.variables)}",
    )  # fmt: skip


def _kernel(kernel: Kernel | None) -> tuple[str, ...]:
    if kernel is None:
        return ()
    initrd = ("-initrd", str(kernel.initrd)) if kernel.initrd else ()
    return ("-kernel", str(kernel.image), *initrd, "-append", kernel.cmdline)


def _disk(
    machine: Machine,
    disk: Path,
    format: str,  # noqa: A002
    *,
    snapshot: bool,
    first: bool,
    unlock: Sequence[str],
    sector: int,
) -> list[str]:
    """Return the disk, `first` in the boot order: with -kernel QEMU takes that place itself.

    `unlock` names the layers that the passphrase opens, as QEMU's options do: "" is the file itself.
    """
    if format == "iso":
        options = f"format=raw,media=cdrom,readonly=on,cache={machine.cache},file={_value(disk)}"
        *controllers, device = _SCSI_CD if machine.drive == "scsi" or machine.type == "microvm" else (_CD,)
    else:
        options = f"format={format},snapshot={'on' if snapshot else 'off'},cache={machine.cache},file={_value(disk)}"
        *controllers, device = _DRIVES[machine.drive, machine.type]
        if sector != _SECTOR and machine.drive in ("ide", "sata"):
            raise UsageError(
                f"the disk counts sectors of {sector} bytes, and a drive of {machine.drive} has {_SECTOR}",
                "Use --drive virtio, nvme or scsi.",
            )
        device += f",logical_block_size={sector},physical_block_size={sector}" if sector != _SECTOR else ""
    options += "".join(f",{layer}encrypt.key-secret={ID}" for layer in unlock)
    words = ["-drive", f"if=none,id=disk,{options}"]
    for controller in controllers:
        words += ["-device", controller]
    return [*words, "-device", f"{device},bootindex=0" if first else device]


def _network(machine: Machine, ports: Ports) -> tuple[str, ...]:
    if machine.nic == "none":
        return ()
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in ports.forward)
    # No option ROM: it would only try to boot from the network, for minutes, when the disk does not.
    return ("-netdev", f"user,id=net{forwards}", "-device", f"{_NICS[machine.nic]},netdev=net,romfile=")


def _shares(machine: Machine, sockets: Mapping[str, int]) -> list[str]:
    words = ["-object", f"memory-backend-memfd,id=ram,size={_memory(machine)},share=on"] if sockets else []
    for number, (tag, folder) in enumerate(machine.share.items()):
        name = f"share{number}"
        if tag in sockets:
            words += ["-chardev", f"socket,id={name},fd={sockets[tag]}"]
            words += ["-device", f"vhost-user-fs-pci,chardev={name},tag={tag}"]
        else:
            words += ["-virtfs", f"local,id={name},path={_value(folder)},mount_tag={tag},security_model=none"]
    return words


def _display(machine: Machine, ports: Ports) -> list[str]:
    """Return the screen; where there is one but no graphics card, it gets the standard card."""
    gpu = "std" if machine.gpu == "none" and machine.display != "none" else machine.gpu
    words = ["-device", _GPUS[gpu]] if gpu != "none" else []
    if machine.display == "vnc":
        return [*words, "-display", "none", "-vnc", f"127.0.0.1:{ports.vnc - VNC}"]
    return [*words, "-display", machine.display]


def _console(machine: Machine) -> list[str]:
    """Return the serial console, on the terminal or in a file. It shares one chardev with the monitor: stdin is one."""
    taken = machine.serial == "stdio" or machine.monitor
    if taken and any(re.search(r"\bstdio\b|^-nographic$", word) for word in machine.qemu):
        raise UsageError(
            f"machine.qemu: {shlex.join(machine.qemu)}: the terminal already is the serial console or the monitor",
            "Leave it out, or send the console elsewhere with `machine.serial: FILE`.",
        )
    if machine.serial == "stdio":
        words = ["-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console"]
        return [*words, "-mon", "chardev=console"] if machine.monitor else words
    words = ["-chardev", f"file,id=console,path={_value(machine.serial)}", "-serial", "chardev:console"]
    return [*words, "-monitor", "stdio"] if machine.monitor else words


def _chardevs(chardevs: Chardevs) -> list[str]:
    return [
        "-chardev", f"pipe,id=console,path={_value(chardevs.console)}", "-serial", "chardev:console",
        "-chardev", f"socket,id=second,fd={chardevs.second}", "-serial", "chardev:second",
        *_monitor(chardevs.qmp),
    ]  # fmt: skip


def _monitor(descriptor: int) -> tuple[str, ...]:
    return ("-chardev", f"socket,id=qmp,fd={descriptor}", "-mon", "chardev=qmp,mode=control")


def _credentials(credentials: Mapping[str, bytes]) -> list[str]:
    """Return system credentials as SMBIOS OEM strings (type 11), where systemd looks for them since 252."""
    words = []
    for name, content in sorted(credentials.items()):
        encoded = base64.b64encode(content).decode()
        words += ["-smbios", f"type=11,value=io.systemd.credential.binary:{_value(name)}={encoded}"]
    return words
