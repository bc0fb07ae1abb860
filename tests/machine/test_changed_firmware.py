"""Firmware with variables of our own: where they stand, and that the distribution's stay as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import changed_firmware, firmware

from tests.support.firmware_flash import variable_names
from tests.support.signing_keys import make_key


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_word_to_firmware_of_any_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """An entry is written into variables that are kept as qcow2 too; each path has a file of its own (C14)."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    template = tmp_path / "VARS"
    words = ["qemu-img", "convert", "-f", "raw", "-O", form, firmware.find().variables, template]
    subprocess.run(words, check=True)
    before = template.read_bytes()
    found = firmware.Firmware(tmp_path / "CODE", template, form)  # type: ignore[arg-type]
    one, same, other = (
        changed_firmware.with_program(found, path).variables for path in ("/EFI/a.efi", "/EFI/a.efi", "/b.efi")
    )
    assert one == same != other
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", one, tmp_path / "raw"], check=True)
    assert variable_names((tmp_path / "raw").read_bytes())[-2:] == ["Boot0000", "BootOrder"]
    assert template.read_bytes() == before


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no place for the copy the error names it, and what to do."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(BootsmithError, match=r"cannot be written: .*/file/cache.*\n.*BOOTSMITH_CACHE"):
        changed_firmware.with_program(firmware.find(), "/EFI/a.efi")


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_firmware_gets_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """In the cache, in its code's format, the same for the same certificate; the template stays as it is (V24)."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    _, certificate = make_key(tmp_path)
    template = tmp_path / "VARS"
    words = ["qemu-img", "convert", "-f", "raw", "-O", form, firmware.find().variables, template]
    subprocess.run(words, check=True)
    before = template.read_bytes()
    found = firmware.Firmware(tmp_path / "CODE", template, form)  # type: ignore[arg-type]
    made = [changed_firmware.with_keys(found, certificate).variables for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].is_relative_to(tmp_path / "cache/firmware")
    assert template.read_bytes() == before
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", made[0], tmp_path / "raw"], check=True)
    assert variable_names((tmp_path / "raw").read_bytes())[-4:] == ["db", "KEK", "PK", "SecureBootEnable"]
    assert [each.name for each in made[0].parent.iterdir()] == [made[0].name]
