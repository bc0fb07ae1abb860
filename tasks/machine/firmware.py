"""What starts a guest: UEFI firmware (OVMF) as the distributions install it, SeaBIOS, or QEMU itself.

Builds of OVMF that can enforce Secure Boot are left aside unless it is asked for: they need another board, and with
keys enrolled they refuse an unsigned loader. The 4 MB builds come first, since the 2 MB ones are on their way out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bootsmith.tasks.errors import BootsmithError, ToolMissing
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tools.package_manager import install_command

Kind = Literal["uefi", "bios", "direct"]
_COMMANDS: dict[Kind, str] = {"uefi": "run-uefi", "bios": "run-bios", "direct": "run-direct"}
_LACKS: dict[Kind, str] = {
    "uefi": "UEFI firmware finds nothing to start on {what}: no FAT partition of it holds an EFI program, such "
    "as EFI/BOOT/BOOTX64.EFI",
    "bios": "a BIOS finds nothing to start on {what}: there is no boot code in its first sector",
    "direct": "QEMU has no kernel to start for {what}",
}


@dataclass(frozen=True, slots=True)
class Firmware:
    """OVMF: `code` is read-only and shared; `variables` is a template that no run writes to.

    A `secure` build can enforce Secure Boot, and does once keys are among its variables; `microsoft` are variables that
    hold Microsoft's, where the distribution has such.
    """

    code: Path
    variables: Path
    format: Literal["raw", "qcow2"] = "raw"
    secure: bool = False
    microsoft: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a distribution has a build: names of its files in a folder; the last two are for Secure Boot."""

    folder: str
    code: str
    variables: str
    secure: str = ""
    microsoft: str = ""


PLACES = (
    Place("usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
    Place("usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd", "OVMF_CODE.secboot.4m.fd"),  # Arch
    Place(  # Fedora
        "usr/share/edk2/ovmf", "OVMF_CODE_4M.qcow2", "OVMF_VARS_4M.qcow2", "OVMF_CODE_4M.secboot.qcow2",
        "OVMF_VARS_4M.secboot.qcow2",
    ),
    Place(  # openSUSE
        "usr/share/qemu", "ovmf-x86_64-4m-code.bin", "ovmf-x86_64-4m-vars.bin", "ovmf-x86_64-smm-code.bin",
        "ovmf-x86_64-smm-ms-vars.bin",
    ),
    Place("usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE.secboot.fd", "OVMF_VARS.ms.fd"),  # and Alpine
    Place("usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd"),
    Place("usr/share/edk2/x64", "OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE.secboot.fd"),  # Arch, older
    Place("usr/share/edk2-ovmf/x64", "OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE.secboot.fd"),  # Arch, older still
    Place("usr/share/OVMF/x64", "OVMF_CODE.fd", "OVMF_VARS.fd", "OVMF_CODE.secboot.fd"),
    Place("usr/share/qemu", "ovmf-x86_64-code.bin", "ovmf-x86_64-vars.bin"),
)  # fmt: skip
"""The first are Debian's and Ubuntu's. A build's code fits only the variables of the same build."""


def find(root: Path = Path("/"), places: Iterable[Place] = PLACES, *, secure_boot: bool = False) -> Firmware:
    """Return the first OVMF below `root` that has both its files. Raises ToolMissing, naming the package."""
    for place in places:
        there = root / place.folder
        code, variables = there / (place.secure if secure_boot else place.code), there / place.variables
        if code.is_file() and variables.is_file():
            found = Firmware(code, variables, "qcow2" if code.suffix == ".qcow2" else "raw")
            if not secure_boot:
                return found
            microsoft = there / place.microsoft
            return replace(found, secure=True, microsoft=microsoft if microsoft.is_file() else None)
    tool = TOOLS["ovmf"]
    what = "UEFI firmware (OVMF) with Secure Boot" if secure_boot else "UEFI firmware (OVMF)"
    raise ToolMissing(f"no {what} is installed", f"Install it: {install_command([tool])}")


def choose(
    wanted: Literal["auto"] | Kind, able: Collection[str], what: str, typed: Callable[[str], str] | None = None
) -> Kind:
    """Return what starts `what`, which those in `able` can; under "auto" the first of UEFI, BIOS and direct that can.

    `typed` tells how a command is typed, where that is more than its name. Raises BootsmithError, saying what is
    missing, where it would only end in a screen that says nothing.
    """
    kinds: tuple[Kind, ...] = ("uefi", "bios", "direct")
    can = [kind for kind in kinds if kind in able]
    if wanted == "auto":
        if can:
            return can[0]
        raise BootsmithError(
            f"no firmware finds anything to start on {what}: there is no EFI/BOOT/BOOTX64.EFI on a FAT partition, and "
            "no boot code in the first sector",
            "Is it a whole disk? For a disk without a loader: `doit run-direct KERNEL --initrd FILE --disk FILE`.",
        )
    if wanted in can:
        return wanted
    commands = [typed(_COMMANDS[kind]) if typed else f"doit {_COMMANDS[kind]}" for kind in can]
    others = " or ".join(f"`{each}`" for each in commands)
    hint = f"It starts otherwise: {others}." if can else "Is it a whole disk, with a loader on it?"
    raise BootsmithError(_LACKS[wanted].format(what=what), hint)
