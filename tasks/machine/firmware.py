"""UEFI firmware for the machine: OVMF's code and its variables, as the distributions install them.

Builds that enforce Secure Boot are left aside: they refuse an unsigned loader. The 4 MB builds come first, since the
2 MB ones are on their way out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools import host


@dataclass(frozen=True, slots=True)
class Firmware:
    """OVMF: `code` is read-only and shared; `variables` is a template that no run writes to."""

    code: Path
    variables: Path
    format: Literal["raw", "qcow2"] = "raw"


_PLACES: tuple[tuple[str, str, str], ...] = (
    ("/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),  # Debian, Ubuntu
    ("/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),  # Arch
    ("/usr/share/edk2/ovmf", "OVMF_CODE_4M.qcow2", "OVMF_VARS_4M.qcow2"),  # Fedora
    ("/usr/share/qemu", "ovmf-x86_64-4m-code.bin", "ovmf-x86_64-4m-vars.bin"),  # openSUSE
    ("/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),  # Debian to 12, Alpine
    ("/usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),  # Fedora
    ("/usr/share/edk2/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"),  # Arch, older
    ("/usr/share/edk2-ovmf/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"),  # Arch, older still
    ("/usr/share/OVMF/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("/usr/share/qemu", "ovmf-x86_64-code.bin", "ovmf-x86_64-vars.bin"),
)


def find(root: Path = Path("/"), places: Iterable[tuple[str, str, str]] = _PLACES) -> Firmware:
    """Return the first OVMF below `root` that has both its files. Raises ToolMissing, naming the package."""
    for folder, code, variables in places:
        there = root / folder.lstrip("/")
        if (there / code).is_file() and (there / variables).is_file():
            return Firmware(there / code, there / variables, "qcow2" if code.endswith(".qcow2") else "raw")
    tool = host.TOOLS["ovmf"]
    raise ToolMissing("no UEFI firmware (OVMF) is installed", f"Install it: {host.install_command([tool])}")
