"""How quick the store is, measured within one process: a Python's own start would be most of what is to be seen."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.store.store import Store

MIB = 1 << 20
TIMES = 9


def restores(disk: Path) -> tuple[list[float], list[float]]:
    """Return how long restoring `disk` takes, and doing so onto its predecessor, each against a sparse `cp`."""
    anew, onto = [], []
    with _scratch(disk) as scratch:
        store = Store(scratch / "store")
        digest = fingerprint(disk)
        store.put(disk, digest)
        copy = scratch / "copy"
        for number in range(TIMES):
            copied = _seconds(lambda: subprocess.check_call(["cp", disk, copy]))
            _edit(copy, number)
            onto.append(_seconds(lambda: store.fetch(digest, scratch / "patched", onto=copy)) / copied)
            anew.append(_seconds(lambda: store.fetch(digest, scratch / "restored")) / copied)
            for name in ("patched", "restored"):
                (scratch / name).unlink()
    return anew, onto


def stores(files: list[Path], seconds: float) -> list[float]:
    """Return what storing the outputs of a build, and making that durable, adds to the rest of its `seconds`."""
    found = []
    digests = {path: fingerprint(path) for path in files}  # a build has just made them
    for _ in range(3):
        with _scratch(files[0]) as scratch:
            store = Store(scratch / "store")

            def put(store: Store = store) -> None:
                for path, digest in digests.items():
                    store.put(path, digest)
                store.sync()

            took = _seconds(put)
            found.append(took / (seconds - took))
    return found


def fingerprints(folder: Path) -> list[float]:
    """Return the rate of fingerprinting 1 GiB against xxhsum's. Raises FileNotFoundError where there is no xxhsum."""
    found = []
    path = folder / "gibibyte"
    with path.open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(MIB))
    try:
        for _ in range(TIMES):
            raw = _seconds(lambda: subprocess.check_output(["xxhsum", "-H128", path], stderr=subprocess.DEVNULL))
            found.append(raw / _seconds(lambda: fingerprint(path)))
    finally:
        path.unlink()
    return found


def images(disk: Path) -> float:
    """Return what twenty versions of `disk`, each with one small edit, take in the store, against the first."""
    with _scratch(disk) as scratch:
        store, copy = Store(scratch / "store"), scratch / "copy"
        subprocess.check_call(["cp", disk, copy])
        costs = []
        for number in range(20):
            store.put(copy, fingerprint(copy))
            costs.append(sum(path.stat().st_blocks * 512 for path in store.root.rglob("*")))
            _edit(copy, number)
        return costs[-1] / costs[0]


def _edit(path: Path, number: int) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 21 * (number + 1))
        file.write(os.urandom(4096))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    with TemporaryDirectory(dir=beside.parent) as folder:
        yield Path(folder)
