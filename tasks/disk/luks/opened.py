"""Headers of LUKS1 and LUKS2, unlocked by a passphrase: of people unknown, so that nothing of them is believed.

What takes longer or more memory than any header has reason to is refused: a number of iterations, of stripes, of slots,
and the work of all slots together.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from bootsmith.tasks.disk.luks import key_slot
from bootsmith.tasks.disk.luks.key_slot import Form
from bootsmith.tasks.errors import BootsmithError, StageError

Read = Callable[[int, int], bytes]
_MOST_ITERATIONS: Final = 50_000_000
_MOST_WORK: Final = 250_000_000
"""Iterations of all that a passphrase is tried at, each of one block of a hash: a minute or two."""
_MOST_SLOTS: Final = 32
_CHECKS: Final = range(20, 65)
"""Bytes of what tells that a key is the right one: what the hashes come to, from SHA-1 to SHA-512."""
_END: Final = 1 << 63  # of all places: what a file's offsets reach to
_MOST_JSON: Final = 4 << 20
_HASHES: Final = ("sha1", "sha256", "sha512", "ripemd160")
_SECTORS: Final = (512, 1024, 2048, 4096)
_KEYS: Final = (32, 64)
_ENABLED: Final = 0x00AC71F3


class _Slot(NamedTuple):
    """A key that a passphrase opens."""

    salt: bytes
    iterations: int
    hash: str
    at: int
    form: Form


class _Digest(NamedTuple):
    """What tells that a key is the right one."""

    value: bytes
    salt: bytes
    iterations: int
    hash: str


class Unlocked(NamedTuple):
    """An open volume: where its data begin, in sectors of how many bytes, and their key."""

    start: int
    sector: int
    tweak: int
    key: bytes


def unlock(name: str, read: Read, passphrase: bytes, library: Path) -> Unlocked:
    """Return how a volume's data are read. Raises BootsmithError for a wrong passphrase, StageError for damage."""
    head = read(0, 592)
    if len(head) < 592:
        _damaged(name, "its header is cut short")
    version = struct.unpack_from(">H", head, 6)[0]
    if version == 1:
        slots, digest, start, sector, tweak = _luks1(name, head)
    elif version == 2:
        try:
            slots, digest, start, sector, tweak = _luks2(name, head, read)
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration, RecursionError):
            _damaged(name, "its header makes no sense")
    else:
        _unreadable(name, f"it is of version {version}")
    if sum(_work(slot, digest) for slot in slots) > _MOST_WORK:
        _damaged(name, "it asks for more work than any does")
    for slot in slots:
        key = _tried(name, read, slot, passphrase, library)
        found = key_slot.derived(key, digest.salt, digest.iterations, len(digest.value), digest.hash)
        if found == digest.value:
            return Unlocked(start, sector, tweak, key)
    raise BootsmithError(f"{name}: the passphrase given does not open it")


def _work(slot: _Slot, digest: _Digest) -> int:
    """Return how many iterations it takes to try a slot: PBKDF2 does all of them for each block of what it gives."""
    return slot.iterations * _blocks(slot.form.size, slot.hash) + digest.iterations * _blocks(
        len(digest.value), digest.hash
    )


def _blocks(size: int, name: str) -> int:
    return -(-size // hashlib.new(name).digest_size)


def _tried(name: str, read: Read, slot: _Slot, passphrase: bytes, library: Path) -> bytes:
    """Return the key that a slot holds, if the passphrase is its."""
    length = key_slot.area(slot.form.size, slot.form.stripes)
    stripes = read(slot.at, length)
    if len(stripes) < length:
        _damaged(name, "a key of it is cut short")
    by = key_slot.derived(passphrase, slot.salt, slot.iterations, slot.form.size, slot.hash)
    return key_slot.unlocked(library, stripes, by, slot.form)


def _luks1(name: str, head: bytes) -> tuple[list[_Slot], _Digest, int, int, int]:
    cipher, mode, spec, payload, size, value, salt, iterations = struct.unpack_from(">32s32s32sII20s32sI", head, 8)
    words = [each.partition(b"\0")[0].decode("ascii", "replace") for each in (cipher, mode, spec)]
    _check(name, f"{words[0]}-{words[1]}", words[2], size, 512)
    slots = []
    for number in range(8):
        state, tries, slot_salt, at, stripes = struct.unpack_from(">II32sII", head, 208 + number * 48)
        if state == _ENABLED:
            _check_work(name, tries, stripes)
            slots.append(_Slot(slot_salt, tries, words[2], at * 512, Form(size, stripes, words[2])))
    _check_work(name, iterations, 1)
    return slots, _Digest(value, salt, iterations, words[2]), payload * 512, 512, 0


def _luks2(name: str, head: bytes, read: Read) -> tuple[list[_Slot], _Digest, int, int, int]:
    (length,) = struct.unpack_from(">Q", head, 8)
    if not 4096 < length <= _MOST_JSON:
        _damaged(name, "its header is of no size that there is")
    whole = read(0, length)
    checked = hashlib.sha256(whole[:448] + bytes(64) + whole[512:]).digest()
    if whole[448:480] != checked:
        _damaged(name, "its header is not what its checksum says")
    told: dict[str, Any] = json.loads(whole[4096:].partition(b"\0")[0])
    segments: dict[str, Any] = told["segments"]
    if len(segments) != 1 or told["config"].get("requirements", {}).get("mandatory"):
        _unreadable(name, "it is being encrypted anew, or is of more than one piece")
    ((number, segment),) = segments.items()
    if segment["type"] != "crypt" or segment.get("integrity"):
        _unreadable(name, "it is not only encrypted")
    digest = next(each for each in told["digests"].values() if number in each["segments"])
    slots = _slots(name, told, digest, segment)
    _check_work(name, _number(digest["iterations"]), 1)
    if digest["hash"] not in _HASHES:
        _unreadable(name, f"its check is by {str(digest['hash'])[:20]}")
    value, salt = base64.b64decode(digest["digest"]), base64.b64decode(digest["salt"])
    if len(value) not in _CHECKS:
        _damaged(name, "it has no check of its key")
    found = _Digest(value, salt, _number(digest["iterations"]), digest["hash"])
    return slots, found, _place(segment["offset"]), _number(segment["sector_size"]), _place(segment["iv_tweak"])


def _slots(name: str, told: dict[str, Any], digest: dict[str, Any], segment: dict[str, Any]) -> list[_Slot]:
    """Return the keys of a volume of LUKS2 that can be tried."""
    found, strange, keys = [], set(), digest["keyslots"]
    if len(keys) > _MOST_SLOTS or len(set(keys)) < len(keys):
        _damaged(name, "it has more keys than there can be")
    for key in keys:
        slot = told["keyslots"][key]
        kdf, af, area = slot["kdf"], slot["af"], slot["area"]
        if kdf["type"] != "pbkdf2" or slot["type"] != "luks2":
            strange.add(str(kdf["type"])[:20])
            continue
        _check(name, area["encryption"], kdf["hash"], _number(area["key_size"]), 512)
        _check(name, segment["encryption"], af["hash"], _number(slot["key_size"]), _number(segment["sector_size"]))
        _check_work(name, _number(kdf["iterations"]), _number(af["stripes"]))
        if area["key_size"] != slot["key_size"]:
            _unreadable(name, "its keys are locked by keys of another size")
        form = Form(_number(slot["key_size"]), _number(af["stripes"]), af["hash"])
        salt = base64.b64decode(kdf["salt"])
        found.append(_Slot(salt, _number(kdf["iterations"]), kdf["hash"], _place(area["offset"]), form))
    if not found:
        _unreadable(name, f"its keys are derived by {', '.join(sorted(strange)) or 'nothing'}, and pbkdf2 is read")
    return found


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value


def _place(value: Any) -> int:
    """Return a number of bytes or sectors, which JSON has as text: it has 64 bits, and JSON's own numbers 53."""
    if not isinstance(value, str) or not (value.isascii() and value.isdecimal()) or len(value) > len(str(_END)):
        raise TypeError(value)
    if int(value) >= _END:
        raise ValueError(value)
    return int(value)


def _check(name: str, cipher: str, spec: str, size: int, sector: int) -> None:
    if cipher != "aes-xts-plain64" or spec not in _HASHES or size not in _KEYS or sector not in _SECTORS:
        told = f"{str(cipher)[:40]}, {str(spec)[:20]}, {str(size * 8)[:9]} bits"
        _unreadable(name, f"it is encrypted by {told}; aes-xts-plain64 of 256 or 512 bits is read")


def _check_work(name: str, iterations: int, stripes: int) -> None:
    if not 0 < iterations <= _MOST_ITERATIONS or not 0 < stripes <= key_slot.STRIPES:
        _damaged(name, "it asks for more work than any does")


def _damaged(name: str, what: str) -> NoReturn:
    raise StageError(f"the volume in {name} is damaged: {what}", "`cryptsetup luksDump` tells more.")


def _unreadable(name: str, what: str) -> NoReturn:
    raise StageError(f"the volume in {name} cannot be read here: {what}")
