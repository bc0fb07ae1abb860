"""OVMF is found wherever a distribution puts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError, ToolMissing
from bootsmith.tasks.machine import changed_firmware, firmware


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


@pytest.mark.parametrize(
    ("code", "variables", "microsoft"),
    [
        ("usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd", "OVMF_VARS_4M.ms.fd"),
        ("usr/share/OVMF/OVMF_CODE.secboot.fd", "OVMF_VARS.fd", "OVMF_VARS.ms.fd"),
        ("usr/share/edk2/ovmf/OVMF_CODE_4M.secboot.qcow2", "OVMF_VARS_4M.qcow2", "OVMF_VARS_4M.secboot.qcow2"),
        ("usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "OVMF_VARS.fd", "OVMF_VARS.secboot.fd"),
        ("usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", "OVMF_VARS.4m.fd", ""),
        ("usr/share/qemu/ovmf-x86_64-smm-code.bin", "ovmf-x86_64-4m-vars.bin", "ovmf-x86_64-smm-ms-vars.bin"),
    ],
)
def test_secure_boot_is_found_when_asked(tmp_path: Path, code: str, variables: str, microsoft: str) -> None:
    """Asked for, the build that can enforce Secure Boot is found, without keys and with Microsoft's (V24)."""
    folder = Path(code).parent
    installed(tmp_path, code, str(folder / variables), *([str(folder / microsoft)] if microsoft else []))
    found = firmware.find(tmp_path, secure_boot=True)
    assert found.secure
    assert (found.code, found.variables) == (tmp_path / code, tmp_path / folder / variables)
    if microsoft:
        assert changed_firmware.with_microsoft_keys(found).variables == tmp_path / folder / microsoft
    else:
        with pytest.raises(ToolMissing, match=r"Microsoft's keys.*\n.*boot\.secure_boot"):
            changed_firmware.with_microsoft_keys(found)


def test_no_secure_boot_build_is_said(tmp_path: Path) -> None:
    """Where only builds without Secure Boot are installed, that is what is missing."""
    installed(tmp_path, "usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd")
    with pytest.raises(ToolMissing, match="with Secure Boot"):
        firmware.find(tmp_path, secure_boot=True)


@pytest.mark.parametrize(
    ("wanted", "able", "chosen"),
    [
        ("auto", {"bios", "uefi"}, "uefi"),
        ("auto", {"bios"}, "bios"),
        ("auto", {"direct"}, "direct"),
        ("bios", {"bios", "uefi"}, "bios"),
        ("direct", {"uefi", "direct"}, "direct"),
    ],
)
def test_what_the_image_can(wanted: firmware.Kind, able: set[str], chosen: str) -> None:
    """What starts an image is what was asked, or the first that can."""
    assert firmware.choose(wanted, able, "disk.raw") == chosen


@pytest.mark.parametrize(
    ("wanted", "able", "said"),
    [
        ("uefi", {"bios"}, r"UEFI.*nothing to start on disk\.raw: .*BOOTX64\.EFI\n.*`doit run-bios`"),
        ("bios", {"uefi"}, r"BIOS.*nothing to start on disk\.raw: .*boot code.*\n.*`doit run-uefi`"),
        ("bios", set(), r"boot code.*\n.*whole disk"),
        ("auto", set(), r"no firmware finds.*BOOTX64\.EFI.*boot code"),
        ("direct", {"uefi", "bios"}, r"no kernel.*\n.*`doit run-uefi` or `doit run-bios`"),
    ],
)
def test_what_the_image_cannot_is_a_message(wanted: firmware.Kind, able: set[str], said: str) -> None:
    """A BIOS-only image under UEFI, and the reverse, is refused at once, with what would do (A6)."""
    with pytest.raises(BootsmithError, match=said):
        firmware.choose(wanted, able, "disk.raw")
