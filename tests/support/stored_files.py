"""A blob, a download and a result to be stored, the files that hold them in a store."""

from __future__ import annotations

import hashlib
import os
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
