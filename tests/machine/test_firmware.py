"""OVMF is found wherever a distribution puts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.machine import firmware


def installed(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("code", "variables", "form"),
    [
        ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd", "raw"),
        ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd", "raw"),
        ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd", "raw"),
        ("usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2", "qcow2"),
        ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd", "raw"),
        ("usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "usr/share/edk2-ovmf/x64/OVMF_VARS.fd", "raw"),
        ("usr/share/qemu/ovmf-x86_64-code.bin", "usr/share/qemu/ovmf-x86_64-vars.bin", "raw"),
    ],
)
def test_every_distribution_s_place(tmp_path: Path, code: str, variables: str, form: str) -> None:
    """Debian's, Fedora's, Arch's and openSUSE's files are found, 2 MB and 4 MB builds (A6)."""
    installed(tmp_path, code, variables)
    found = firmware.find(tmp_path)
    assert (found.code, found.variables, found.format) == (tmp_path / code, tmp_path / variables, form)


def test_the_4_mb_build_is_preferred(tmp_path: Path) -> None:
    """Where both builds are installed the 4 MB one is used, and code and variables are of one build."""
    folder = "usr/share/OVMF"
    installed(tmp_path, *(f"{folder}/OVMF_{kind}.fd" for kind in ("CODE", "VARS", "CODE_4M", "VARS_4M")))
    found = firmware.find(tmp_path)
    assert (found.code.name, found.variables.name) == ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")


def test_secure_boot_builds_are_left_aside(tmp_path: Path) -> None:
    """Builds that refuse unsigned loaders are not taken, even alone."""
    folder = "usr/share/OVMF"
    installed(
        tmp_path, f"{folder}/OVMF_CODE_4M.ms.fd", f"{folder}/OVMF_CODE_4M.secboot.fd", f"{folder}/OVMF_VARS_4M.ms.fd"
    )
    with pytest.raises(ToolMissing):
        firmware.find(tmp_path)


def test_code_without_variables_is_no_firmware(tmp_path: Path) -> None:
    """Half an installation is passed over for a whole one."""
    installed(tmp_path, "usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd")
    assert firmware.find(tmp_path).code.name == "OVMF_CODE.fd"


def test_missing_firmware_names_the_package(tmp_path: Path) -> None:
    """Without OVMF the error names the package to install."""
    with pytest.raises(ToolMissing, match=r"OVMF.*\n.*ovmf"):
        firmware.find(tmp_path)
