"""Keys in a firmware's variables: where OVMF looks for them, in a copy."""

from __future__ import annotations

import struct

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.machine import firmware, variables

from tests.support.firmware_flash import variable_names

CERTIFICATE = b"a certificate, DER"


def test_keys_are_put_into_a_copy() -> None:
    """The distribution's own file stays as it is; the copy has db, KEK, PK and Secure Boot on besides (V24)."""
    template = firmware.find().variables
    before = template.read_bytes()
    made = variables.enrol(before, CERTIFICATE, "the variables")
    assert template.read_bytes() == before
    assert len(made) == len(before)
    assert variable_names(made) == [*variable_names(before), "db", "KEK", "PK", "SecureBootEnable"]
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
    assert variable_names(made) == [*variable_names(before), "LoaderEntryOneShot"]
    assert "debug.conf\0".encode("utf-16-le") in made


def test_a_boot_entry_takes_the_place_of_others() -> None:
    """The only entry is the program's; an earlier one is marked as removed, and keys stay what they are (C14)."""
    keyed = variables.enrol(firmware.find().variables.read_bytes(), CERTIFICATE, "the variables")
    once = variables.with_program(keyed, "/EFI/other/x.efi", "the variables")
    made = variables.with_program(once, "/EFI/debian/grubx64.efi", "the variables")
    assert len(made) == len(keyed)
    assert variable_names(once) == variable_names(made) == [*variable_names(keyed), "Boot0000", "BootOrder"]
    path = "\\EFI\\debian\\grubx64.efi\0".encode("utf-16-le")
    assert struct.pack("<BBH", 4, 4, 4 + len(path)) + path + bytes.fromhex("7fff0400") in made
