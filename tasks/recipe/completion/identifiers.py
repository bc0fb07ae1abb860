"""Identifiers that follow from a recipe's seed: the same for the same seed and thing, on every machine. Pure."""

from __future__ import annotations

import hashlib


def _digest(seed: str, *words: str) -> bytes:
    return hashlib.sha256("\0".join(("bootsmith", seed, *words)).encode()).digest()


def uuid(seed: str, *words: str) -> str:
    """Return the UUID (RFC 9562, version 8) that belongs to a seed and a thing's name."""
    digest = bytearray(_digest(seed, *words)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def serial(seed: str, *words: str) -> str:
    """Return the volume serial a FAT filesystem has in place of a UUID, as ABCD-1234."""
    text = _digest(seed, *words)[:4].hex().upper()
    return f"{text[:4]}-{text[4:]}"


def salt(seed: str, *words: str) -> str:
    """Return the salt of a hash tree: 32 bytes, in hexadecimal."""
    return _digest(seed, "salt", *words).hex()


def volume_date(seed: str, *words: str) -> str:
    """Return the UUID of an ISO 9660 volume, as Linux and GRUB write it: a date, which is all that the format has."""
    number = int.from_bytes(_digest(seed, *words)[:8], "big")
    fields = []
    for first, count in ((1980, 100), (1, 12), (1, 28), (0, 24), (0, 60), (0, 60), (0, 100)):
        number, more = divmod(number, count)
        fields.append(f"{first + more:02}")
    return "-".join(fields)


def signature(seed: str) -> str:
    """Return the signature of an MBR disk, eight hex digits; that of all zeros means a disk without one."""
    return (int.from_bytes(_digest(seed, "disk")[:4], "big") or 1).to_bytes(4, "big").hex()
