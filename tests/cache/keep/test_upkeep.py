"""cache/keep/upkeep.py: a store keeps within its limits by itself, and runs hardly pay for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.digest.index import index_of_bytes
from bootsmith.cache.files import sealed
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.keep import contents, gc, upkeep
from bootsmith.cache.keep.contents import scan
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.report import wording
from bootsmith.cache.store.lease import GC, Lease
from bootsmith.cache.store.store import Store

MIB = 1 << 20
DAY = 86400
KEYS = [f"{number:032x}" for number in range(8)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of eight results of 1 MiB each, used on eight days in a row, the last one today."""
    store = Store(tmp_path / "store")
    for number, key in enumerate(KEYS):
        content = os.urandom(MIB)
        store.put_bytes(content)
        store.put_result(key, {"out": {"hash": index_of_bytes(content).digest, "size": MIB}})
        used = time.time() - (7 - number) * DAY
        os.utime(store.root / "results" / key[:2] / key, (used, used))
    store.lease.release()
    return tmp_path / "store"


@pytest.fixture
def said() -> list[str]:
    """What the user was told."""
    return []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A line for each time that all files of a store were counted."""
    calls: list[Path] = []

    def scan_and_tell(root: Path) -> contents.Contents:
        calls.append(root)
        return scan(root)

    monkeypatch.setattr(contents, "scan", scan_and_tell)
    monkeypatch.setattr(gc, "scan", scan_and_tell)
    return calls


def keep_within(root: Path, limits: Limits, grown: int, say: Callable[[str], None]) -> None:
    """Keep a store within its limits, and tell the user what a run tells."""
    report = upkeep.keep_within(root, limits, grown)
    for line in wording.told(report, limits.size) if report else ():
        say(f"cache: {line}")


def results(root: Path) -> int:
    return len(list((root / "results").glob("*/*")))


def test_a_store_within_its_limits_is_counted_once_a_day(root: Path, said: list[str], counted: list[Path]) -> None:
    """Between that, what runs say they added is added."""
    limits = Limits(100 * MIB, 90 * DAY)
    for _ in range(5):
        keep_within(root, limits, MIB, said.append)
    assert len(counted) == 2  # once to know the size, once by gc, for age
    usage = upkeep._read(root)
    assert usage is not None
    assert abs(usage.size - scan(root).size - 4 * MIB) < MIB // 10
    for counted_at in (time.time() - 2 * DAY, time.time() + 2 * DAY):  # a clock that was set counts as a day past
        sealed.write(root / "usage", "usage 1", f"[{99 * MIB}, 0, {counted_at}]".encode())
        del counted[:]
        keep_within(root, limits, MIB, said.append)
        assert len(counted) == 2
    assert said == []


def test_a_store_beyond_its_size_is_brought_well_below(root: Path, said: list[str], counted: list[Path]) -> None:
    """So that not every run has to; one line says what was removed."""
    limits = Limits(scan(root).size + MIB // 4, None)
    keep_within(root, limits, 0, said.append)
    assert results(root) == 8
    keep_within(root, limits, MIB // 2, said.append)
    assert results(root) == 7
    assert said == ["cache: removed 1.0 MiB: 1 result, 1 file, 1 chunk"]
    del counted[:]
    keep_within(root, limits, MIB // 4, said.append)
    assert counted == []


def test_what_cannot_be_removed_is_said_now_and_then(root: Path, said: list[str], counted: list[Path]) -> None:
    """Not at each run, and not with a count of all files each time."""
    lease = Lease(root)
    lease.hold(*(f"results/{key}" for key in KEYS))
    limits = Limits(4 * MIB, None)
    keep_within(root, limits, MIB, said.append)
    assert len(said) == 1
    assert "8.1 MiB are kept, more than the limit of 4.0 MiB" in said[0]
    assert "in use by running builds" in said[0]
    assert "BOOTSMITH_CACHE_SIZE" in said[0]
    del counted[:]
    keep_within(root, limits, MIB // 10, said.append)
    assert len(said) == 1
    assert counted == []
    keep_within(root, limits, MIB, said.append)
    assert len(said) == 2
    lease.release()


def test_age_is_looked_at_once_a_day(root: Path, said: list[str]) -> None:
    """What was not used for longer goes then."""
    keep_within(root, Limits(None, 3.5 * DAY), 0, said.append)
    assert results(root) == 4
    assert len(said) == 1


def test_where_another_gc_is_at_work_nothing_is_done(root: Path, said: list[str]) -> None:
    """A run neither waits nor fails for it."""
    with FileLock(root / GC):
        keep_within(root, Limits(1, None), MIB, said.append)
    assert results(root) == 8
    assert said == []


def test_without_limits_or_a_store_nothing_is_looked_at(root: Path, said: list[str], counted: list[Path]) -> None:
    """And nothing is made."""
    keep_within(root, Limits(None, None), MIB, said.append)
    keep_within(root.parent / "nowhere", Limits(1, None), MIB, said.append)
    assert counted == said == []
    assert not (root.parent / "nowhere").exists()


def test_a_damaged_note_is_counted_anew(root: Path, said: list[str], counted: list[Path]) -> None:
    """It is an estimate, and can be had again."""
    keep_within(root, Limits(100 * MIB), MIB, said.append)
    (root / "usage").write_bytes(b"bootsmith usage 1 of something else\n[0, 0, 0]")
    keep_within(root, Limits(100 * MIB), MIB, said.append)
    assert len(counted) == 2
