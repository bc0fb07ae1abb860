"""The keys a firmware believes, as it stores them: PK, KEK and db (UEFI 2.10, 8.2 and 32.4). Pure.

One certificate is all three: who owns the machine may change its keys, and signs what it boots.
"""

from __future__ import annotations

import struct
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")  # EFI_GLOBAL_VARIABLE
_DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")  # EFI_IMAGE_SECURITY_DATABASE_GUID
_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")  # EFI_CERT_X509_GUID
_PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")  # EFI_CERT_TYPE_PKCS7_GUID
_OWNER = uuid.UUID("6f95ce65-e62c-49b1-a316-ae7a4b1b1de8")
"""Whose entries in a firmware's lists these are: ours, drawn once."""
ATTRIBUTES = 0x27
"""Kept over a reset, for boot services and the system, written by signature with a time."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable to be: its value is a list of signatures with one certificate in it."""

    name: str
    vendor: uuid.UUID
    value: bytes


def variables(certificate: bytes) -> Iterator[Variable]:
    """Yield the variables that make a firmware believe a certificate (DER), and only it."""
    entry = _OWNER.bytes_le + certificate
    value = _X509.bytes_le + struct.pack("<III", 28 + len(entry), 0, len(entry)) + entry
    yield Variable("db", _DATABASE, value)
    yield Variable("KEK", GLOBAL, value)
    yield Variable("PK", GLOBAL, value)  # last: with it a firmware begins to ask for signatures


def moment(epoch: int) -> bytes:
    """Return a time in seconds as EFI_TIME."""
    year, month, day, hour, minute, second, *_ = time.gmtime(epoch)
    return struct.pack("<HBBBBBBIhBB", year, month, day, hour, minute, second, 0, 0, 0, 0, 0)


def signed(variable: Variable, epoch: int, sign: Callable[[bytes], bytes]) -> bytes:
    """Return a variable's value as one gives it to a running firmware: signed, under a time."""
    at = moment(epoch)
    message = variable.name.encode("utf-16-le") + variable.vendor.bytes_le + struct.pack("<I", ATTRIBUTES) + at
    proof = _PKCS7.bytes_le + sign(message + variable.value)
    revision, kind = 0x0200, 0x0EF1  # WIN_CERT_TYPE_EFI_GUID
    return at + struct.pack("<IHH", 8 + len(proof), revision, kind) + proof + variable.value
