"""Results in a store, some of which gc will remove: which of them are there, and whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bootsmith.cache.digest.index import index_of_bytes
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store.store import Store

DAY = 86400
NOTHING = Limits(1, None)  # keep only what is needed
NO_LIMITS = Limits(None, None)
MIB = 1 << 20
SHARED = os.urandom(MIB)
KEYS = [letter * 32 for letter in "0123"]
OWN = [os.urandom(MIB) for _ in KEYS]


def outputs(content: bytes) -> dict[str, dict[str, object]]:
    """Return what a result says of a single output."""
    return {"out": {"hash": index_of_bytes(content).digest, "size": len(content), "file": "out"}}


def make(store: Store, key: str, content: bytes, age: float = 0) -> str:
    """Store a result, used last `age` seconds ago; return its output's digest."""
    digest = store.put_bytes(content)
    store.put_result(key, outputs(content))
    path = store.root / "results" / key[:2] / key
    os.utime(path, (time.time() - age, time.time() - age))
    return digest


def has(root: Path, key: str) -> bool:
    """Tell whether a result and all it names are there and undamaged."""
    store = Store(root)
    result = store.result(key)
    found = result is not None and all(store.get_bytes(each["hash"]) is not None for each in result.values())
    store.lease.release()
    return found


def kept(root: Path) -> list[str]:
    """Return the first letters of the keys that are whole; a result that is not whole fails the test."""
    there = [key for key in KEYS if (root / "results" / key[:2] / key).exists()]
    assert [key for key in there if has(root, key)] == there
    return [key[0] for key in there]
