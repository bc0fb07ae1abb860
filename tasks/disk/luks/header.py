"""Headers of LUKS1 and LUKS2, written: the same passphrase and name give the same bytes.

LUKS1 On-Disk Format Specification 1.2.3; LUKS2 On-Disk Format Specification 1.1.4. What cryptsetup takes from chance
follows from the passphrase here, by as much work as guessing it takes: docs/explanation/trust.md says what that means.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.tasks.disk.luks import key_slot

SIZES: Final = {1: 2 << 20, 2: 16 << 20}
"""Bytes before the data, as cryptsetup has them: room for other keys, and to encrypt it anew."""
SECTORS: Final = {1: 512, 2: 4096}
"""Bytes of a sector of the data."""
KEY: Final = 64
ITERATIONS: Final = 1_000_000
_DIGEST_ITERATIONS: Final = 1000  # of the check of a key of 512 bits, which nobody guesses
_MAGIC: Final = b"LUKS\xba\xbe"
_MAGIC_2: Final = b"SKUL\xba\xbe"
_HEADER_2: Final = 16384  # of LUKS2, of which there are two
_BINARY_2: Final = 4096  # of that, before the JSON
_SLOT: Final = 4096  # of LUKS1, where the first key's stripes begin
_ENABLED, _DISABLED = 0x00AC71F3, 0x0000DEAD


class Made(NamedTuple):
    """A header, and the key that the data are to be encrypted by."""

    header: bytes
    key: bytes


class _Parts(NamedTuple):
    """A key locked by a passphrase, and what tells that it was unlocked."""

    salt: bytes
    stripes: bytes
    digest_salt: bytes
    digest: bytes


class _Chance:
    """What would be chance, from a passphrase and the volume's UUID: what may be seen, and what may not."""

    def __init__(self, passphrase: bytes, uuid: str) -> None:
        self._uuid = uuid.encode()
        self._root = key_slot.derived(passphrase, b"bootsmith LUKS " + self._uuid, ITERATIONS, 64, "sha512")

    def salt(self, name: str, size: int) -> bytes:
        return hashlib.shake_256(b"\0".join((b"salt", name.encode(), self._uuid))).digest(size)

    def secret(self, name: str, size: int) -> bytes:
        return hashlib.shake_256(hmac.digest(self._root, name.encode(), "sha512")).digest(size)


def make(library: Path, version: int, passphrase: bytes, uuid: str, label: str) -> Made:
    """Return the header of a volume."""
    chance = _Chance(passphrase, uuid)
    key = chance.secret("volume key", KEY)
    salt = chance.salt("slot", 32)
    filler = chance.secret("stripes", KEY * (key_slot.STRIPES - 1))
    stripes = key_slot.locked(library, key, key_slot.derived(passphrase, salt, ITERATIONS, KEY), filler)
    digest_salt = chance.salt("digest", 32)
    parts = _Parts(salt, stripes, digest_salt, key_slot.derived(key, digest_salt, _DIGEST_ITERATIONS, 32))
    return Made(_luks1(parts, uuid) if version == 1 else _luks2(parts, uuid, label, chance), key)


def _luks1(parts: _Parts, uuid: str) -> bytes:
    head = _MAGIC + struct.pack(
        ">H32s32s32sII20s32sI40s",
        1, b"aes", b"xts-plain64", b"sha256", SIZES[1] // 512, KEY, parts.digest[:20], parts.digest_salt,
        _DIGEST_ITERATIONS, uuid.encode(),
    )  # fmt: skip
    step = -(-len(parts.stripes) // 4096) * 4096
    for number in range(8):
        words = (_DISABLED, 0, b"") if number else (_ENABLED, ITERATIONS, parts.salt)
        head += struct.pack(">II32sII", *words, (_SLOT + number * step) // 512, key_slot.STRIPES)
    return _filled(head, {_SLOT: parts.stripes}, SIZES[1])


def _luks2(parts: _Parts, uuid: str, label: str, chance: _Chance) -> bytes:
    area = 2 * _HEADER_2
    told = {
        "keyslots": {
            "0": {
                "type": "luks2",
                "key_size": KEY,
                "af": {"type": "luks1", "stripes": key_slot.STRIPES, "hash": "sha256"},
                "area": {
                    "type": "raw",
                    "offset": str(area),
                    "size": str(-(-len(parts.stripes) // 4096) * 4096),
                    "encryption": "aes-xts-plain64",
                    "key_size": KEY,
                },
                "kdf": {"type": "pbkdf2", "hash": "sha256", "iterations": ITERATIONS, "salt": _text(parts.salt)},
            }
        },
        "tokens": {},
        "segments": {
            "0": {
                "type": "crypt",
                "offset": str(SIZES[2]),
                "size": "dynamic",
                "iv_tweak": "0",
                "encryption": "aes-xts-plain64",
                "sector_size": SECTORS[2],
            }
        },
        "digests": {
            "0": {
                "type": "pbkdf2",
                "keyslots": ["0"],
                "segments": ["0"],
                "hash": "sha256",
                "iterations": _DIGEST_ITERATIONS,
                "salt": _text(parts.digest_salt),
                "digest": _text(parts.digest),
            }
        },
        "config": {"json_size": str(_HEADER_2 - _BINARY_2), "keyslots_size": str(SIZES[2] - area)},
    }
    text = json.dumps(told, separators=(",", ":")).encode().ljust(_HEADER_2 - _BINARY_2, b"\0")
    heads = [
        _binary(magic, chance.salt(f"header {number}", 64), (uuid, label), number * _HEADER_2, text)
        for number, magic in enumerate((_MAGIC, _MAGIC_2))
    ]
    return _filled(heads[0] + text + heads[1] + text, {area: parts.stripes}, SIZES[2])


def _binary(magic: bytes, salt: bytes, names: tuple[str, str], at: int, text: bytes) -> bytes:
    """Return the binary beginning of a header of LUKS2, which has the checksum of all of it."""

    def packed(checksum: bytes) -> bytes:
        head = magic + struct.pack(
            ">HQQ48s32s64s40s48sQ184s64s",
            2, _HEADER_2, 1, names[1].encode(), b"sha256", salt, names[0].encode(), b"", at, b"", checksum,
        )  # fmt: skip
        return head.ljust(_BINARY_2, b"\0")

    return packed(hashlib.sha256(packed(b"") + text).digest())


def _filled(head: bytes, areas: dict[int, bytes], size: int) -> bytes:
    found = bytearray(head.ljust(size, b"\0"))
    for at, data in areas.items():
        found[at : at + len(data)] = data
    return bytes(found)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
