"""Keys in a firmware's variables: where OVMF looks for them, in a copy."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import firmware, variables

from tests.support.signing_keys import make_key

CERTIFICATE = b"a certificate, DER"


def names(flash: bytes) -> list[str]:
    """Walk over the store as the firmware does; return the names of the variables in it."""
    (at,) = struct.unpack_from("<H", flash, 48)
    at += 28
    found = []
    while flash[at : at + 2] == b"\xaa\x55":
        state = flash[at + 2]
        name_size, size = struct.unpack_from("<II", flash, at + 36)
        if state == 0x3F:
            found.append(flash[at + 60 : at + 60 + name_size].decode("utf-16-le").rstrip("\0"))
        at += -(-(60 + name_size + size) // 4) * 4
    return found


def test_keys_are_put_into_a_copy() -> None:
    """The distribution's own file stays as it is; the copy has db, KEK, PK and Secure Boot on besides (V24)."""
    template = firmware.find().variables
    before = template.read_bytes()
    made = variables.enrol(before, CERTIFICATE, "the variables")
    assert template.read_bytes() == before
    assert len(made) == len(before)
    assert names(made) == [*names(before), "db", "KEK", "PK", "SecureBootEnable"]
    assert made.count(CERTIFICATE) == 3


def test_keys_are_not_put_beside_others() -> None:
    """Variables with keys in them are refused, for theirs would count too."""
    once = variables.enrol(firmware.find().variables.read_bytes(), CERTIFICATE, "the variables")
    with pytest.raises(BootsmithError, match="the variables has keys already: KEK, PK, SecureBootEnable, db"):
        variables.enrol(once, CERTIFICATE, "the variables")


@pytest.mark.parametrize("flash", [b"", bytes(1 << 16), b"\xff" * (1 << 16)], ids=["empty", "zeros", "erased"])
def test_what_is_no_flash_is_refused(flash: bytes) -> None:
    """A file without a store of variables is named."""
    with pytest.raises(BootsmithError, match=r"x\.fd is not a flash of variables"):
        variables.enrol(flash, CERTIFICATE, "x.fd")


def test_a_store_that_is_full_is_refused() -> None:
    """A certificate larger than the store is an error, and does not run over what comes behind it."""
    with pytest.raises(BootsmithError, match="no room"):
        variables.enrol(firmware.find().variables.read_bytes(), bytes(1 << 18), "the variables")


def test_a_word_to_systemd_boot() -> None:
    """The entry to boot once is one more variable; what is no variable's place stays as it is."""
    before = firmware.find().variables.read_bytes()
    made = variables.with_entry(before, "debug.conf", "the variables")
    assert len(made) == len(before)
    assert names(made) == [*names(before), "LoaderEntryOneShot"]
    assert "debug.conf\0".encode("utf-16-le") in made


def test_a_boot_entry_takes_the_place_of_others() -> None:
    """The only entry is the program's; an earlier one is marked as removed, and keys stay what they are (C14)."""
    keyed = variables.enrol(firmware.find().variables.read_bytes(), CERTIFICATE, "the variables")
    once = variables.with_program(keyed, "/EFI/other/x.efi", "the variables")
    made = variables.with_program(once, "/EFI/debian/grubx64.efi", "the variables")
    assert len(made) == len(keyed)
    assert names(once) == names(made) == [*names(keyed), "Boot0000", "BootOrder"]
    path = "\\EFI\\debian\\grubx64.efi\0".encode("utf-16-le")
    assert struct.pack("<BBH", 4, 4, 4 + len(path)) + path + bytes.fromhex("7fff0400") in made


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_word_to_firmware_of_any_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """An entry is written into variables that are kept as qcow2 too; each path has a file of its own (C14)."""
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    template = tmp_path / "VARS"
    words = ["qemu-img", "convert", "-f", "raw", "-O", form, firmware.find().variables, template]
    subprocess.run(words, check=True)
    before = template.read_bytes()
    found = firmware.Firmware(tmp_path / "CODE", template, form)  # type: ignore[arg-type]
    one, same, other = (firmware.with_program(found, path).variables for path in ("/EFI/a.efi", "/EFI/a.efi", "/b.efi"))
    assert one == same != other
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", one, tmp_path / "raw"], check=True)
    assert names((tmp_path / "raw").read_bytes())[-2:] == ["Boot0000", "BootOrder"]
    assert template.read_bytes() == before


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no place for the copy the error names it, and what to do."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(BootsmithError, match=r"cannot be written: .*/file/cache.*\n.*BOOTSMITH_CACHE"):
        firmware.with_program(firmware.find(), "/EFI/a.efi")


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
    made = [firmware.with_keys(found, certificate).variables for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].is_relative_to(tmp_path / "cache/firmware")
    assert template.read_bytes() == before
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", made[0], tmp_path / "raw"], check=True)
    assert names((tmp_path / "raw").read_bytes())[-4:] == ["db", "KEK", "PK", "SecureBootEnable"]
    assert [each.name for each in made[0].parent.iterdir()] == [made[0].name]
