"""A kernel of three sectors: started by any loader for a BIOS, it prints its command line and initrd, and resets.

It speaks Linux's boot protocol (Documentation/arch/x86/boot.rst), both the 16-bit entry and the 32-bit one, so that
what reaches it is what would reach Linux.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.boot.loader_layer import LoaderParams
from bootsmith.tasks.machine import firmware, qemu

from tests.support.disk_build import DiskBuild
from tests.support.kernel_files import cpio
from tests.support.machine_keys import TCG, machine
from tests.support.tar_members import member

LONG = 300  # seconds: how long a busy host may take for what takes it three when idle
INITRD = cpio({"tiny initrd": b""})

# At 0x26c, in real mode: cli; esi = ds << 4; the GDT's address into its pointer; lgdt; set cr0's bit 0; jump to
# 0x100000.
_REAL_MODE = bytes.fromhex(
    "fa 6631f6 8cde 66c1e604 67668d86c0020000 66a3b202 660f0116b002 0f20c0 0c01 0f22c0 66ea000010001000"
)
_GDT_POINTER = struct.pack("<HI", 31, 0)
_GDT = struct.pack("<QQQQ", 0, 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF)
# At 0x100000, in protected mode: segments and a stack; ebx = the command line, edi = the initrd; four texts are
# printed; then out 0x64, 0xfe, which resets, and hlt. Printing: dx is COM1; out dx, al; lodsb; until a zero.
_PROTECTED_MODE = bytes.fromhex(
    "b818000000 8ed8 8ec0 8ed0 bc00000900 66baf803 8b9e28020000 8bbe18020000"
    "be50001000 e820000000 89de e819000000 be60001000 e80f000000 89fe e808000000 b0fe e664 f4 ebfd ee ac 84c0 75fa c3"
)


def kernel() -> bytes:
    """Return the kernel's file."""
    image = bytearray(0x600)
    struct.pack_into("<BHIHHHH", image, 0x1F1, 1, 0, 0x20, 0, 0xFFFF, 0, 0xAA55)
    struct.pack_into("<BB4sH", image, 0x200, 0xEB, 0x6A, b"HdrS", 0x0206)
    struct.pack_into("<BBHI", image, 0x210, 0xFF, 1, 0x8000, 0x100000)
    struct.pack_into("<IIIII", image, 0x228, 0, 0x37FFFFFF, 0x1000000, 0, 0x7FF)
    for at, code in ((0x26C, _REAL_MODE), (0x2B0, _GDT_POINTER), (0x2C0, _GDT), (0x400, _PROTECTED_MODE),
                     (0x450, b"\r\ntiny kernel: \0"), (0x460, b"; initrd: \0")):  # fmt: skip
        image[at : at + len(code)] = code
    return bytes(image)


def disk_build(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> DiskBuild:
    """Return a build with an empty tree whose kernel this is; `text` is its recipe, without a source."""
    made = DiskBuild(folder, monkeypatch, text)
    made.base({"./": member("d")})
    made.site.kernel.write_bytes(kernel())
    made.site.initrd.write_bytes(INITRD)
    return made


def boot(build: DiskBuild) -> tuple[str, str]:
    """Build a build's disk and run it under SeaBIOS; return what it printed, and its first entry's command line."""
    heard = serial_of(build.raw_disk(), build.folder / "serial.log")
    entries = LoaderParams.from_json(build.stages()["bootloader"].params).menu
    return heard, entries.items[0].cmdline


def shown(initrd: bytes) -> str:
    """Return what the kernel prints of an initrd: its text up to the first zero, which ends with a file's name."""
    return initrd.partition(b"\0")[0].decode()


def said(cmdline: str) -> str:
    """Return what the kernel prints, started with that command line."""
    return f"tiny kernel: {cmdline}; initrd: {shown(INITRD)}"


def serial_of(disk: Path, log: Path, *, form: str = "raw", uefi: bool = False, **keys: Any) -> str:
    """Run a disk under SeaBIOS, or OVMF, until it resets; return what it printed on the serial port."""
    argv = qemu.command(
        machine(serial=str(log), memory=256 << 20, cpus=1, nic="none", **keys), disk=disk, format=form,
        firmware=firmware.find() if uefi else None, accel=TCG, reboot=False,
    )  # fmt: skip
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LONG)
    assert done.returncode == 0, done.stderr
    return log.read_text(errors="replace")
