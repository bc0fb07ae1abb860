"""A blob, a download and a result to be stored, the files that hold them in a store, and ways to damage those."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from bootsmith.cache.digest.fingerprint import of_bytes
from bootsmith.cache.store.store import Store

MIB = 1 << 20
WORDS = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(40_000))
CONTENT = os.urandom(MIB) + WORDS[:MIB] + b"the rest, of less than a chunk"
"""One chunk that cannot be packed, one that can, and a short one."""
DIGEST = of_bytes(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ABSENT = "0" * 32
OUTPUTS = {"image": {"hash": DIGEST, "size": len(CONTENT), "file": "caf\udce9"}}


def pieces(store: Store) -> list[Path]:
    """Return the files that hold the blob of `source`: its index, then its chunks."""
    names = store.chunks(DIGEST)
    assert names is not None
    found = [store.root / "indexes" / DIGEST[:2] / DIGEST]
    for name in names:
        found += (store.root / "chunks" / name[:2]).glob(f"{name}*")
    assert len(found) == 4
    return found


def download(store: Store) -> Path:
    """Return where the download of `source` lies."""
    return store.root / "sha256" / SHA256[:2] / SHA256


def files(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def overwrite(path: Path, content: bytes) -> None:
    """Change a stored file, though it is meant never to be."""
    path.chmod(0o644)
    path.write_bytes(content)


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    overwrite(path, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "bit flip": flip,
    "truncation": lambda path: overwrite(path, path.read_bytes()[:-1]),
    "truncation to a block": lambda path: overwrite(path, path.read_bytes()[: path.stat().st_size // 2]),
    "a byte more": lambda path: overwrite(path, path.read_bytes() + b"\0"),
    "zeros after a power cut": lambda path: overwrite(path, bytes(path.stat().st_size)),
}


def fail(number: int) -> Callable[..., int]:
    """Return a function that fails as the kernel does."""

    def failing(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return failing
