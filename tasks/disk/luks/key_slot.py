"""A key of LUKS, split into stripes that are all needed to have it back, and the stripes locked by a passphrase.

LUKS1 On-Disk Format Specification 1.2.3, section 2.4 (anti-forensic splitting) and 4; LUKS2 has the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.tasks.disk.luks.aes_xts import UNIT, Cipher

STRIPES: Final = 4000


def area(key: int, stripes: int = STRIPES) -> int:
    """Return how many bytes the stripes of a key of so many take."""
    return -(-key * stripes // UNIT) * UNIT


def derived(passphrase: bytes, salt: bytes, iterations: int, size: int, name: str = "sha256") -> bytes:
    """Return what a passphrase comes to."""
    return hashlib.pbkdf2_hmac(name, passphrase, salt, iterations, size)


def locked(library: Path, key: bytes, by: bytes, filler: bytes) -> bytes:
    """Return a key's stripes, encrypted; `filler` is as long as all of them but the last, and as if by chance."""
    cipher = Cipher(library, by, encrypt=True)
    try:
        plain = _split(key, filler)
        return cipher.sectors(plain + bytes(-len(plain) % UNIT), UNIT, 0)
    finally:
        cipher.close()


class Form(NamedTuple):
    """A key's bytes, how many stripes it is in, and the hash that diffuses them."""

    size: int
    stripes: int = STRIPES
    name: str = "sha256"


def unlocked(library: Path, stripes: bytes, by: bytes, form: Form) -> bytes:
    """Return the key that stripes come to, which a passphrase came to open."""
    cipher = Cipher(library, by, encrypt=False)
    try:
        return _merge(cipher.sectors(stripes, UNIT, 0), form)
    finally:
        cipher.close()


def _split(key: bytes, filler: bytes) -> bytes:
    size = len(key)
    state = bytes(size)
    for at in range(0, len(filler), size):
        state = _diffused(_xor(state, filler[at : at + size]), "sha256")
    return filler + _xor(state, key)


def _merge(data: bytes, form: Form) -> bytes:
    size, count, name = form.size, form.stripes, form.name
    state = bytes(size)
    for at in range(0, (count - 1) * size, size):
        state = _diffused(_xor(state, data[at : at + size]), name)
    return _xor(state, data[(count - 1) * size : count * size])


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _diffused(data: bytes, name: str) -> bytes:
    """Return bytes of which each depends on many."""
    width = hashlib.new(name).digest_size
    found = b""
    for number, at in enumerate(range(0, len(data), width)):
        piece = data[at : at + width]
        found += hashlib.new(name, number.to_bytes(4, "big") + piece).digest()[: len(piece)]
    return found
