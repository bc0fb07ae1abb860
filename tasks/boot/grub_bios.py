"""GRUB for a BIOS: boot.img in the disk's first sector, and the core that it loads, with every module it needs.

Neither `grub-install` nor `grub-bios-setup` can put them into an image: both want the device of the host that the disk
is. What they write is little: where the core begins, into boot.img and, one sector further, into the core's own first
sector, which loads the rest. The core's sectors are one run, so its own list of them is right as grub-mkimage made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.boot import grub
from bootsmith.tasks.disk.bootcode import GRUB_CORE, GRUB_REST, ROOM, Pointer
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Making

TOOLS: tuple[str, ...] = ("grub-mkimage",)
HOST: tuple[str, ...] = ("grub-bios-modules",)
_PLATFORM = "i386-pc"

# include/grub/i386/pc/boot.h names these places in boot.img and in the core's first sector.
_PARAMETERS = slice(0x03, 0x5A)  # of a filesystem in the disk's first sector, which has none
_BOOT_DRIVE = 0x64
_ANY_DRIVE = 0xFF  # the one the BIOS names
_DRIVE_CHECK = slice(0x66, 0x68)
_NOPS = b"\x90\x90"  # where a jump skips a check that only some old BIOS fails


def packages(suite: str) -> tuple[str, ...]:  # noqa: ARG001  the same in every release
    """Return the packages that bring the loader's files into a tree."""
    return ("grub-pc-bin",)


def make(making: Making) -> None:
    """Make boot code and core, and add grub.cfg beside the kernel."""
    image = making.ctx.work / "core.img"
    grub.make_image(making, _PLATFORM, "grub-bios-modules", ("biosdisk",), image)
    boot = grub.modules(making, _PLATFORM, "grub-bios-modules") / "boot.img"
    making.embed(
        boot_sector(boot.read_bytes()),
        image.read_bytes(),
        (Pointer("code", GRUB_CORE), Pointer("core", GRUB_REST, 1)),
    )
    grub.add_configuration(making)


def boot_sector(boot: bytes) -> bytes:
    """Return what of boot.img goes into a disk's first sector. Raises StageError where it is no such file."""
    if len(boot) != 512 or boot[510:] != b"\x55\xaa":
        raise StageError("GRUB's boot.img is not a boot sector", "Reinstall the package grub-pc-bin.")
    code = bytearray(boot[:ROOM])
    code[_PARAMETERS] = bytes(len(code[_PARAMETERS]))
    code[_BOOT_DRIVE] = _ANY_DRIVE
    code[_DRIVE_CHECK] = _NOPS
    return bytes(code)
