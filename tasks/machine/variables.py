"""The variables of a UEFI firmware for QEMU, as OVMF keeps them in its flash, and what we add to them.

The format is EDK2's own: a firmware volume (its header: PI 1.8, volume 3, 3.2.1) that begins with a store of
authenticated variables (MdeModulePkg, Include/Guid/VariableFormat.h).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable, Sequence

from bootsmith.tasks.boot import enrolment
from bootsmith.tasks.boot.enrolment import Variable
from bootsmith.tasks.errors import BootsmithError

_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792")  # gEfiAuthenticatedVariableGuid
_SECURE_BOOT_ENABLE = uuid.UUID("f0a30bc7-af08-4556-99c4-001009c93a44")  # gEfiSecureBootEnableDisableGuid
_SYSTEMD = uuid.UUID("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")  # systemd's Boot Loader Interface
_VOLUME_SIGNATURE = b"_FVH"
_FORMATTED, _HEALTHY = 0x5A, 0xFE
_START, _ADDED = 0x55AA, 0x3F
_STATE = 2  # where a variable's state stands in its header
_MOVING, _DELETED = 0x01, 0xFD  # a bit that is cleared while a newer one is written, all but the one of a removed one
_PLAIN = 0x03  # kept over a reset, for boot services
_OPEN = 0x07  # and at run time
_ACTIVE = 0x01  # a load option that is tried (UEFI 2.10, 3.1.3)
_HEADER = struct.Struct("<HBxIQ16sIII16s")
_STORE_HEADER = struct.Struct("<16sIBB6x")
_ERASED = 0xFF


def enrol(flash: bytes, certificate: bytes, what: str) -> bytes:
    """Return the variables of `flash` with a certificate as the only key, and Secure Boot on.

    Raises BootsmithError where `what` holds no variables as OVMF keeps them, or has keys already.
    """
    present, _ = _walk(flash, what)
    if taken := {name for name, _ in present} & {"PK", "KEK", "db", "SecureBootEnable"}:
        raise BootsmithError(f"{what} has keys already: {', '.join(sorted(taken))}", "Name the empty variables.")
    return _with(flash, _records(enrolment.variables(certificate)), what)


def with_entry(flash: bytes, file: str, what: str) -> bytes:
    """Return the variables of `flash` with the entry that systemd-boot is to boot once, by its file's name.

    Raises BootsmithError as `enrol` does.
    """
    return _with_open(flash, [Variable("LoaderEntryOneShot", _SYSTEMD, _text(file))], what)


def with_program(flash: bytes, path: str, what: str) -> bytes:
    """Return the variables of `flash` with a boot entry, the only one, for an EFI program on any disk of the machine.

    Raises BootsmithError as `enrol` does.
    """
    file = _text(path.replace("/", "\\"))
    place = struct.pack("<BBH", 4, 4, 4 + len(file)) + file + b"\x7f\xff\x04\x00"  # File(PATH), and the end
    option = struct.pack("<IH", _ACTIVE, len(place)) + _text(path) + place
    return _with_open(
        flash, [Variable("Boot0000", enrolment.GLOBAL, option), Variable("BootOrder", enrolment.GLOBAL, b"\0\0")], what
    )


def _text(text: str) -> bytes:
    return f"{text}\0".encode("utf-16-le")


def _with_open(flash: bytes, added: Sequence[Variable], what: str) -> bytes:
    """Return the variables of `flash` with others, which anybody may read and change, in place of their namesakes."""
    changed, names = bytearray(flash), {each.name for each in added}
    for name, at in _walk(flash, what)[0]:
        if name in names:
            changed[at + _STATE] &= _DELETED
    return _with(bytes(changed), [_record(each, _OPEN) for each in added], what)


def _walk(flash: bytes, what: str) -> tuple[list[tuple[str, int]], int]:
    """Return the variables there are, by name and place, and where the next one would stand."""
    begin, end = _store(flash, what)
    at, present = begin, []
    while at + _HEADER.size <= end and struct.unpack_from("<H", flash, at)[0] == _START:
        _, state, _, _, _, _, name_size, size, _ = _HEADER.unpack_from(flash, at)
        name = flash[at + _HEADER.size : at + _HEADER.size + name_size].decode("utf-16-le", "replace").rstrip("\0")
        if state | _MOVING == _ADDED:
            present.append((name, at))
        at = _aligned(at + _HEADER.size + name_size + size, begin)
    return present, at


def _with(flash: bytes, records: Iterable[bytes], what: str) -> bytes:
    _, at = _walk(flash, what)
    added = b"".join(records)
    if at + len(added) > _store(flash, what)[1]:
        raise BootsmithError(f"{what} has no room for further variables", "Name the empty variables.")
    return flash[:at] + added + flash[at + len(added) :]


def _store(flash: bytes, what: str) -> tuple[int, int]:
    """Return where the variables begin and end."""
    try:
        (length,) = struct.unpack_from("<H", flash, 48)
        guid, size, form, state = _STORE_HEADER.unpack_from(flash, length)
    except struct.error:
        length, guid, size, form, state = 0, b"", 0, 0, 0
    if flash[40:44] != _VOLUME_SIGNATURE or (guid, form, state) != (_STORE.bytes_le, _FORMATTED, _HEALTHY):
        raise BootsmithError(f"{what} is not a flash of variables as OVMF keeps them", "Install the ovmf package anew.")
    return length + _STORE_HEADER.size, min(length + size, len(flash))


def _records(variables: Iterable[Variable]) -> Iterable[bytes]:
    for each in variables:
        yield _record(each, enrolment.ATTRIBUTES)
    yield _record(Variable("SecureBootEnable", _SECURE_BOOT_ENABLE, b"\x01"), _PLAIN)


def _record(variable: Variable, attributes: int) -> bytes:
    name = variable.name.encode("utf-16-le") + b"\0\0"
    at = enrolment.moment(0) if attributes == enrolment.ATTRIBUTES else bytes(16)
    sizes = len(name), len(variable.value)
    header = _HEADER.pack(_START, _ADDED, attributes, 0, at, 0, *sizes, variable.vendor.bytes_le)
    record = header + name + variable.value
    return record + bytes((_ERASED,)) * (-len(record) % 4)


def _aligned(at: int, begin: int) -> int:
    return begin + -(-(at - begin) // 4) * 4
