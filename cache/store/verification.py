"""Verification: what in a store is damaged, by reading all of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.store import result
from bootsmith.cache.store.blobs import Blobs, unique
from bootsmith.cache.store.objects import Damaged, ObjectFolder

DIGEST = re.compile(r"[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")
BUFFER = 1 << 20


class Damage(NamedTuple):
    """A thing that cannot be used, by the name that leases call it by: "blobs/DIGEST", "chunks/DIGEST", ..."""

    name: str
    path: Path
    why: str


def damages(root: Path, blobs: Blobs) -> Iterator[Damage]:
    """Yield all that is damaged in the store at `root`: chunks first, then the blobs that need them.

    What is added or removed meanwhile is no damage.
    """
    sound: set[bytes] = set()
    for digest, path in _stored(blobs.chunks.folder, DIGEST):
        why = _why_not(blobs.chunks, path)
        if why:
            yield Damage(f"chunks/{digest}", path, why)
        else:
            sound.add(bytes.fromhex(digest))
    for digest, path in _stored(blobs.indexes.folder, DIGEST):
        why = _why_not(blobs.indexes, path) or _lack(blobs, digest, sound)
        if why:
            yield Damage(f"blobs/{digest}", path, why)
    for key, path in _stored(root / "results", DIGEST):
        if result.read(root, key) is None and path.exists():
            yield Damage(f"results/{key}", path, "does not match its checksum or its name")
    for sha256, path in _stored(root / "sha256", SHA256):
        if not is_download(path) and path.exists():
            yield Damage(f"sha256/{sha256}", path, "does not match its name")


def is_download(path: Path) -> bool:
    """Tell whether a file can be read, and has the SHA-256 that is its name."""
    import hashlib

    found = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while data := os.read(descriptor, BUFFER):
                found.update(data)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return found.hexdigest() == path.name


def _stored(folder: Path, form: re.Pattern[str]) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each file that lies where it would be looked for."""
    for path in sorted(folder.glob("??/*")):
        name = path.name.removesuffix(".zst")
        if form.fullmatch(name) and path.parent.name == name[:2]:
            yield name, path


def _why_not(objects: ObjectFolder, path: Path) -> str:
    """Return what is wrong with a file of an object folder; nothing where it is whole, or gone meanwhile."""
    try:
        objects.verify(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except Damaged:
        return "does not match its name"
    return ""


def _lack(blobs: Blobs, digest: str, sound: set[bytes]) -> str:
    """Return which chunk a blob lacks; `sound` are those known to be whole."""
    index = blobs.index(digest)
    for chunk in unique(index) if index else ():
        name = chunk.digest.hex()
        if chunk.digest in sound or _is_sound(blobs.chunks, name):
            continue
        return f"its chunk {name} is damaged or missing"
    return ""


def _is_sound(objects: ObjectFolder, digest: str) -> bool:
    try:
        return objects.read(digest) is not None
    except Damaged:
        return False
