"""The QEMU command line: one golden command, and what each option changes in it."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.command.table import COMMANDS
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.machine import qemu
from bootsmith.tasks.machine.accelerator import KVM
from bootsmith.tasks.machine.firmware import Firmware
from bootsmith.tasks.recipe.model.machine import Machine

from tests.support.machine_keys import TCG, machine

OVMF = Firmware(Path("/fw/CODE.fd"), Path("/fw/VARS.fd"))
GOLDEN = [
    "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35",
    "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2", "-m", "1024M",
    "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/fw/CODE.fd",
    "-drive", "if=pflash,format=raw,unit=1,snapshot=on,file=/fw/VARS.fd",
    "-drive", "if=none,id=disk,format=raw,snapshot=on,cache=writeback,file=/d/disk.raw",
    "-device", "virtio-blk-pci,drive=disk,bootindex=0",
    "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
    "-display", "none",
    "-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console",
]  # fmt: skip


def words(given: dict[str, Any] | None = None, **keys: Any) -> list[str]:
    """Return the command for a machine with `keys`; `given` are the command's own parameters."""
    how: dict[str, Any] = {"disk": Path("/d/disk.raw"), "format": "raw", "firmware": OVMF, "accel": TCG}
    how["debug"] = Path("/b/debug.log")
    return qemu.command(machine(**keys), **(how | (given or {})))


def changed(given: dict[str, Any] | None = None, **keys: Any) -> tuple[str, str]:
    """Return what a command lost and gained against the golden one, each as one line."""
    got = words(given, **keys)
    lost = [word for word in GOLDEN if word not in got]
    gained = [word for word in got if word not in GOLDEN]
    return " ".join(lost), " ".join(gained)


def test_the_whole_command() -> None:
    """A recipe that says nothing gives one known command; the image and the variables are snapshots (L20)."""
    assert words() == GOLDEN


DRIVE = "if=none,id=disk,format=raw,snapshot=on,cache=writeback,file=/d/disk.raw"
FLASH = " ".join(word for word in GOLDEN if "pflash" in word)
CD = "if=none,id=disk,format=raw,media=cdrom,readonly=on,cache=writeback,file=/d/cd.iso"
CREDENTIAL = "type=11,value=io.systemd.credential.binary"
QMP = "socket,id=qmp,fd=9 -mon chardev=qmp,mode=control"
DISK = "virtio-blk-pci,drive=disk,bootindex=0"
NVME = "nvme,drive=disk,serial=bootsmith,bootindex=0"
SCSI = "virtio-scsi-pci,id=scsi scsi-hd,drive=disk,bus=scsi.0,bootindex=0"
NINE = ",security_model=none"
NET = "virtio-net-pci,netdev=net,romfile="
STDIO = "stdio,id=console,mux=on,signal=off"


@pytest.mark.parametrize(("drive", "device"), [("virtio", DISK), ("nvme", NVME), ("scsi", SCSI)])
def test_a_disk_has_the_sectors_that_its_table_counts(drive: str, device: str) -> None:
    """Of 4096 bytes where it says so; a drive that has no such ones is refused (C1)."""
    sectors = ",logical_block_size=4096,physical_block_size=4096,bootindex=0"
    assert device.rsplit(maxsplit=1)[-1].replace(",bootindex=0", sectors) in " ".join(
        words({"sector": 4096}, drive=drive)
    )
    with pytest.raises(UsageError, match="counts sectors of 4096 bytes, and a drive of sata has 512"):
        words({"sector": 4096}, drive="sata")


@pytest.mark.parametrize(
    ("keys", "lost", "gained"),
    [
        ({"cpus": 4}, "2", "4"),
        ({"memory": 256 << 20}, "1024M", "256M"),
        ({"memory": (256 << 20) + 512}, "1024M", "268435968B"),
        ({"cpu": "qemu64"}, "max", "qemu64"),
        ({"type": "pc"}, "q35", "pc"),
        ({"drive": "ide"}, DISK, "piix3-ide,id=ide ide-hd,drive=disk,bus=ide.0,bootindex=0"),
        ({"drive": "ide", "type": "pc"}, f"q35 {DISK}", "pc ide-hd,drive=disk,bus=ide.0,bootindex=0"),
        ({"drive": "sata"}, DISK, "ide-hd,drive=disk,bus=ide.0,bootindex=0"),
        (
            {"drive": "sata", "type": "pc"},
            f"q35 {DISK}",
            "pc ich9-ahci,id=sata ide-hd,drive=disk,bus=sata.0,bootindex=0",
        ),
        ({"drive": "nvme"}, DISK, NVME),
        ({"drive": "nvme", "type": "pc"}, f"q35 {DISK}", f"pc {NVME}"),
        ({"drive": "scsi"}, DISK, SCSI),
        ({"drive": "scsi", "type": "pc"}, f"q35 {DISK}", f"pc {SCSI}"),
        (
            {"cache": "none"},
            DRIVE,
            "if=none,id=disk,format=raw,snapshot=on,cache=none,file=/d/disk.raw",
        ),
        ({"nic": "e1000"}, NET, "e1000,netdev=net,romfile="),
        ({"nic": "none"}, f"-netdev user,id=net {NET}", ""),
        (
            {"forward": ((2222, 22), (8080, 80))},
            "user,id=net",
            "user,id=net,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8080-:80",
        ),
        ({"display": "gtk"}, "none", "VGA gtk"),
        ({"display": "sdl", "gpu": "virtio"}, "none", "virtio-vga sdl"),
        ({"display": "vnc"}, "", "VGA -vnc 127.0.0.1:0"),
        ({"gpu": "std"}, "", "VGA"),
        ({"gpu": "virtio"}, "", "virtio-vga"),
        ({"monitor": True}, "", "-mon chardev=console"),
        ({"serial": "/l/log,1"}, STDIO, "file,id=console,path=/l/log,,1"),
        ({"serial": "/l/log", "monitor": True}, STDIO, "file,id=console,path=/l/log -monitor stdio"),
        ({"gdb": True}, "", "-gdb tcp:127.0.0.1:1234 -S"),
        ({"debug": "int,cpu_reset"}, "", "-d int,cpu_reset -D /b/debug.log"),
        (
            {"share": {"w": Path("/s/a,b"), "h": Path("/h")}},
            "",
            f"-virtfs local,id=share0,path=/s/a,,b,mount_tag=w{NINE} -virtfs local,id=share1,path=/h,mount_tag=h{NINE}",
        ),
        ({"type": "microvm"}, "q35", "microvm,pcie=on"),
        ({"type": "microvm", "drive": "nvme"}, f"q35 {DISK}", f"microvm,pcie=on {NVME}"),
        ({"type": "microvm", "drive": "scsi"}, f"q35 {DISK}", f"microvm,pcie=on {SCSI}"),
        ({"login": "auto"}, "", ""),
        ({"keep": True}, "", ""),
        ({"accel": "tcg"}, "", ""),
        ({"firmware": "uefi"}, "", ""),
        ({"secure_boot": True}, "", ""),
        ({"qemu": ("-d", "int")}, "", "-d int"),
    ],
)
def test_each_option(keys: dict[str, Any], lost: str, gained: str) -> None:
    """Each key of `machine:` changes its own words and no others (L12, V19)."""
    assert changed(**keys) == (lost, gained)


@pytest.mark.parametrize(
    ("given", "lost", "gained"),
    [
        ({"accel": KVM}, "tcg,thread=multi,tb-size=512 max", "kvm host"),
        ({"firmware": None}, FLASH, ""),
        ({"reboot": False}, "", "-no-reboot"),
        ({"program": qemu.PROGRAMS["i386"]}, "qemu-system-x86_64", "qemu-system-i386"),
        (
            {"firmware": replace(OVMF, secure=True)},
            "q35",
            "q35,smm=on -global driver=cfi.pflash01,property=secure,value=on",
        ),
        (
            {"kernel": qemu.Kernel(Path("/k/linux"), Path("/k/initrd"), "root=/dev/vda quiet"), "firmware": None},
            f"{FLASH} {DISK}",
            f"-kernel /k/linux -initrd /k/initrd -append root=/dev/vda quiet {DISK.removesuffix(',bootindex=0')}",
        ),
        (
            {"kernel": qemu.Kernel(Path("/k/linux"), None, "x"), "firmware": None, "disk": None},
            " ".join(word for option in (*FLASH.split(), DRIVE) for word in ("-drive", option)) + f" {DISK}",
            "-kernel /k/linux -append x",
        ),
        (
            {"disk": Path("/d/cd.iso"), "format": "iso"},
            f"{DRIVE} {DISK}",
            f"{CD} ide-cd,drive=disk,bus=ide.0,bootindex=0",
        ),
        *(
            (
                {"format": form},
                DRIVE,
                f"if=none,id=disk,format={form},snapshot=on,cache=writeback,file=/d/disk.raw",
            )
            for form in ("qcow2", "vmdk", "vpc", "vhdx", "vdi")
        ),
        ({"program": "/opt/qemu"}, "qemu-system-x86_64", "/opt/qemu"),
        (
            {"disk": Path("/d/a,b.qcow2"), "format": "qcow2"},
            DRIVE,
            "if=none,id=disk,format=qcow2,snapshot=on,cache=writeback,file=/d/a,,b.qcow2",
        ),
        (
            {"snapshot": False},
            f"if=pflash,format=raw,unit=1,snapshot=on,file=/fw/VARS.fd {DRIVE}",
            f"if=pflash,format=raw,unit=1,file=/fw/VARS.fd {DRIVE.replace('=on', '=off')}",
        ),
        (
            {"credentials": {"b": b"\0\xff", "a": b"x,y"}},
            "",
            f"-smbios {CREDENTIAL}:a=eCx5 {CREDENTIAL}:b=AP8=",
        ),
        (
            {"chardevs": qemu.Chardevs(console=Path("/t/console"), second=8, qmp=9)},
            STDIO,
            f"pipe,id=console,path=/t/console socket,id=second,fd=8 chardev:second {QMP}",
        ),
    ],
)
def test_what_a_run_decides(given: dict[str, Any], lost: str, gained: str) -> None:
    """Disk, firmware, accelerator, credentials and sockets change their own words and no others."""
    seen = changed(given)
    assert (seen[0], seen[1].replace(" -smbios type=11", " type=11")) == (lost, gained)


def test_a_cd_on_scsi() -> None:
    """With `drive: scsi` a CD is attached there too."""
    seen = changed({"disk": Path("/d/cd.iso"), "format": "iso"}, drive="scsi")
    device = "virtio-scsi-pci,id=scsi scsi-cd,drive=disk,bus=scsi.0,bootindex=0"
    assert seen == (f"{DRIVE} {DISK}", f"{CD} {device}")


def test_a_share_by_virtiofsd() -> None:
    """A folder that virtiofsd shares needs memory that both can see; the others are shared by QEMU itself."""
    shares = {"work": Path("/s/work"), "home": Path("/h")}
    _, gained = changed({"sockets": {"work": 5}}, share=shares, memory=256 << 20)
    assert gained == (
        "q35,memory-backend=ram 256M -object memory-backend-memfd,id=ram,size=256M,share=on "
        "socket,id=share0,fd=5 vhost-user-fs-pci,chardev=share0,tag=work "
        "-virtfs local,id=share1,path=/h,mount_tag=home,security_model=none"
    )


def test_every_key_stands_in_the_table() -> None:
    """No key of `machine:` is left out of the table above, and each is an option of every run command (L12, A16)."""
    table = test_each_option.pytestmark[0].args[1]  # type: ignore[attr-defined]  # pytest's mark
    keys = {field.name for field in fields(Machine)}
    assert {name for row in table for name in row[0]} == keys
    for command in (each for each in COMMANDS if each.name.startswith("run-")):
        assert keys - {param["name"] for param in command.params} <= {"firmware", "secure_boot"}


def test_the_kernel_s_name_for_the_disk() -> None:
    """The machine's only disk has the name that Linux gives it."""
    names = {drive: qemu.device(machine(drive=drive)) for drive in ("virtio", "ide", "sata", "nvme", "scsi")}
    assert names == {
        "virtio": "/dev/vda", "ide": "/dev/sda", "sata": "/dev/sda", "nvme": "/dev/nvme0n1", "scsi": "/dev/sda"
    }  # fmt: skip


def test_ports_given_to_a_run_are_the_ones_used() -> None:
    """The ports found free stand in the command, not those the recipe wished for."""
    ports = qemu.Ports(((40022, 22),), vnc=5903, gdb=4321)
    got = words({"ports": ports}, forward=((2222, 22),), display="vnc", gdb=True)
    assert "user,id=net,hostfwd=tcp:127.0.0.1:40022-:22" in got
    assert got[got.index("-vnc") + 1] == "127.0.0.1:3"
    assert got[got.index("-gdb") + 1] == "tcp:127.0.0.1:4321"


@pytest.mark.parametrize("keys", [{}, {"monitor": True}, {"serial": "/l"}, {"serial": "/l", "monitor": True}])
def test_the_terminal_is_taken_once(keys: dict[str, Any]) -> None:
    """Console and monitor together take stdin once at most (L12)."""
    assert sum(word.startswith("stdio") for word in words(**keys)) == (keys != {"serial": "/l"})


@pytest.mark.parametrize("extra", [("-serial", "stdio"), ("-nographic",), ("-monitor", "mon:stdio"), ("-qmp", "stdio")])
def test_a_second_taker_of_the_terminal_is_refused(extra: tuple[str, ...]) -> None:
    """Words of one's own that would take the terminal a second time are refused, saying what to do (L12)."""
    with pytest.raises(UsageError, match=r"the terminal already is the serial console.*\n.*machine\.serial: FILE"):
        words(qemu=extra)


def test_the_terminal_may_be_taken_when_it_is_free() -> None:
    """With the console in a file the terminal is the user's to give away."""
    assert words(serial="/l", qemu=("-monitor", "stdio"))[-2:] == ["-monitor", "stdio"]


def test_nothing_listens_beyond_loopback() -> None:
    """Whatever listens does so on 127.0.0.1 only."""
    got = words(forward=((2222, 22),), display="vnc", gdb=True)
    listening = [word for word in got if "hostfwd" in word or "tcp" in word or word == "127.0.0.1:0"]
    assert len(listening) == 3
    assert all("127.0.0.1" in word for word in listening)


def test_the_printed_command_can_be_pasted() -> None:
    """A shell reads the printed command as the very words that were run, awkward names and all (L12)."""
    disk = Path("/d/it's a $(disk), no.raw")
    got = words({"disk": disk, "credentials": {"x": b"1"}}, qemu=("-name", "a b\\n"))
    printed = qemu.printable(got)
    assert shlex.split(printed.replace("\\\n", "")) == got
    said = subprocess.run(
        ["sh", "-c", f"set -- {printed}; printf '%s\\0' \"$@\""], stdout=subprocess.PIPE, check=True, text=True
    )
    assert said.stdout.split("\0")[:-1] == got
