"""cache/keep/gc.py: what somebody needs, holds or is about to use stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.cache.digest.index import index_of_bytes
from bootsmith.cache.keep import gc, roots
from bootsmith.cache.keep.gc import collect
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store.lease import Lease
from bootsmith.cache.store.objects import ObjectFolder
from bootsmith.cache.store.store import Store

from tests.support.four_results import DAY, KEYS, MIB, NOTHING, OWN, SHARED, has, kept, make


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], object]]]:
    """What is put in here happens between the first batches of a gc, each of a single thing."""
    events: list[Callable[[], object]] = []

    def breathe(_seconds: float) -> None:
        if events:
            events.pop(0)()

    monkeypatch.setattr(gc, "BATCH", 1)
    monkeypatch.setattr(gc.time, "sleep", breathe)
    yield events
    assert not events


def test_what_a_current_record_needs_stays(root: Path, build: Path) -> None:
    """However old; the report says what is in the way, and of whom."""
    roots.note(root, build, [])
    report = collect(root, NOTHING)
    assert kept(root) == ["0"]
    assert report.is_over
    assert report.builds == (build,)
    assert report.for_records > 2 * MIB


def test_the_downloads_of_a_current_lock_file_stay(root: Path, build: Path) -> None:
    """What mirrors may no longer have is kept for as long as a lock file names it."""
    lock = build.parent.parent / "toy.lock"
    lock.write_text(f"package {'a' * 64}\n")
    roots.note(root, build, [lock])
    for letter in "ab":
        (root / "sha256" / (letter * 2)).mkdir(parents=True)
        (root / "sha256" / (letter * 2) / (letter * 64)).touch()
    collect(root, NOTHING)
    assert [path.name for path in (root / "sha256").glob("*/*")] == ["a" * 64]


def test_a_build_directory_that_is_gone_holds_nothing(root: Path, build: Path) -> None:
    """Its note goes with it."""
    roots.note(root, build, [])
    shutil.rmtree(build)
    collect(root, NOTHING)
    assert kept(root) == []
    assert roots.read(root) == {}


def test_what_a_running_build_holds_stays(root: Path) -> None:
    """By the result's name alone: what that needs is held with it."""
    lease = Lease(root)
    lease.hold(f"results/{KEYS[2]}")
    report = collect(root, NOTHING)
    assert kept(root) == ["2"]
    assert report.for_leases > 2 * MIB
    assert report.for_records == 0
    lease.release()
    collect(root, NOTHING)
    assert kept(root) == []


def test_what_was_to_be_stored_and_was_there_stays(root: Path) -> None:
    """Whoever stores it counts on it from then on, though nothing was written and no result names it."""
    store = Store(root)
    store.put_bytes(SHARED + OWN[0])
    collect(root, NOTHING)
    assert store.get_bytes(index_of_bytes(SHARED + OWN[0]).digest) == SHARED + OWN[0]
    store.lease.release()


def test_what_is_asked_for_meanwhile_stays(root: Path, meanwhile: list[Callable[[], object]]) -> None:
    """From the moment somebody was told that it is there."""
    meanwhile.append(lambda: Lease(root).hold("results/none"))
    meanwhile.append(lambda: store.result(KEYS[2]))
    store = Store(root)
    collect(root, NOTHING)
    assert has(root, KEYS[2])


def test_what_is_stored_meanwhile_stays(root: Path, meanwhile: list[Callable[[], object]]) -> None:
    """With the chunks it found there, though its process is gone before they would have been removed."""

    def store_and_go() -> None:
        store = Store(root)
        make(store, "f" * 32, SHARED + OWN[3] + os.urandom(77))
        store.lease.release()

    meanwhile.append(store_and_go)
    report = collect(root, NOTHING)
    assert report.removed["chunks"] == 3
    assert has(root, "f" * 32)


def test_a_gc_in_the_midst_of_storing_leaves_what_was_found_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that nothing named is needed from the moment somebody counts on it, before an index says so."""
    real = ObjectFolder.add

    def add(objects: ObjectFolder, digest: str, content: memoryview | bytes) -> None:
        collect(root, NOTHING)
        real(objects, digest, content)

    store = Store(root)
    monkeypatch.setattr(ObjectFolder, "add", add)
    make(store, "f" * 32, SHARED + os.urandom(77))
    store.lease.release()
    assert kept(root) == []
    assert has(root, "f" * 32)


@pytest.mark.parametrize("moment", range(12))
def test_a_result_stored_again_meanwhile_is_whole(
    root: Path, meanwhile: list[Callable[[], object]], moment: int
) -> None:
    """At whatever moment between its removal, its blob's, and that of the last chunk: four, four and five things."""
    store = Store(root)
    meanwhile += [lambda: None] * moment
    meanwhile.append(lambda: make(store, KEYS[0], SHARED + OWN[0]))
    collect(root, NOTHING)
    assert has(root, KEYS[0])


def test_a_clock_that_was_set_harms_nothing(root: Path, build: Path) -> None:
    """Use in the future, or a century ago: it only changes what goes first."""
    roots.note(root, build, [])
    for number, key in enumerate(KEYS):
        os.utime(root / "results" / key[:2] / key, (number % 2 * 2**33,) * 2)
    collect(root, Limits(None, DAY))
    assert kept(root) == ["0", "1", "3"]
