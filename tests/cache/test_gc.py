"""cache/gc.py: what was used least recently goes; what somebody needs, holds or is about to use stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import peer
import pytest
from bootsmith.cache import gc, roots, sealed
from bootsmith.cache import record as records
from bootsmith.cache.errors import CacheError
from bootsmith.cache.gc import Busy, Report, collect
from bootsmith.cache.index import index_of_bytes
from bootsmith.cache.lease import GC, REMOVAL, Lease
from bootsmith.cache.limits import Limits
from bootsmith.cache.lock import Lock
from bootsmith.cache.record import Record
from bootsmith.cache.shelf import Shelf
from bootsmith.cache.store import Store
from bootsmith.cache.survey import look

MIB = 1 << 20
DAY = 86400
NOTHING = Limits(1, None)  # keep only what is needed
NO_LIMITS = Limits(None, None)
SHARED = os.urandom(MIB)
KEYS = [letter * 32 for letter in "0123"]
OWN = [os.urandom(MIB) for _ in KEYS]
HOLD = """
import sys
from pathlib import Path
from bootsmith.cache.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
COLLECT = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache import gc
from bootsmith.cache.limits import Limits
left = int(sys.argv[2])
real = Path.unlink
def unlink(path, missing_ok=False):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, missing_ok=missing_ok)
Path.unlink = unlink
gc.BATCH = 3
gc.collect(Path(sys.argv[1]), Limits(1, None))
"""


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of four results, the oldest first; each has a chunk of its own and one that all share."""
    store = Store(tmp_path / "store")
    for number, key in enumerate(KEYS):
        make(store, key, SHARED + OWN[number], age=(10 - number) * DAY)
    store.lease.release()
    return tmp_path / "store"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build directory whose current record is that of the oldest result."""
    build = tmp_path / "project/build/toy"
    record = Record("rootfs", KEYS[0], {}, outputs(SHARED + OWN[0]))
    records.write(build / ".bootsmith/records/rootfs.json", record)
    return build


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


# -- what goes


def test_the_least_recently_used_goes_first(root: Path) -> None:
    """As far as the size asks for, with what only it named; what it shares with others stays."""
    report = collect(root, Limits(look(root).size - MIB))
    assert kept(root) == ["1", "2", "3"]
    assert report.removed == {"results": 1, "blobs": 1, "chunks": 1}
    assert report.before - report.after > MIB
    assert report.after == look(root).size
    assert not report.is_over


def test_use_makes_young(root: Path) -> None:
    """Whoever asks for a result, or for a download, saves it from being the next to go."""
    store = Store(root)
    (root / "download").write_bytes(OWN[0])
    download = "a" * 64
    folder = root / "sha256/aa"
    folder.mkdir(parents=True)
    (root / "download").rename(folder / download)
    os.utime(folder / download, (1, 1))
    assert store.result(KEYS[0])
    assert store.path_sha256(download)
    store.lease.release()
    collect(root, Limits(look(root).size - MIB))
    assert kept(root) == ["0", "2", "3"]
    assert (folder / download).exists()


def test_what_is_too_old_goes(root: Path) -> None:
    """Whatever room there is."""
    report = collect(root, Limits(None, 8.5 * DAY))
    assert kept(root) == ["2", "3"]
    assert report.removed["results"] == 2


def test_without_limits_nothing_of_use_goes(root: Path) -> None:
    """Only what nothing names, what is damaged and what was left behind."""
    store = Store(root)
    store.put_bytes(os.urandom(2 * MIB))
    store.lease.release()
    (root / "results" / KEYS[1][:2] / KEYS[1]).write_bytes(b"damaged")
    (root / "blobs/ab").mkdir(parents=True)
    (root / "blobs/ab/old").write_bytes(b"a whole file")
    (root / "tmp/.tmp-left").write_bytes(b"by a dead process")
    report = collect(root, NO_LIMITS)
    assert kept(root) == ["0", "2", "3"]
    assert report.removed == {"results": 1, "blobs": 2, "chunks": 3, "old": 1}
    assert not list((root / "tmp").iterdir())
    assert collect(root, NO_LIMITS).removed == {}


@pytest.mark.parametrize(("kind", "days"), [("quarantine", 7), ("plans", 30)])
def test_short_cuts_and_damaged_files_go_by_themselves(root: Path, kind: str, days: int) -> None:
    """After a time in which somebody could have looked at them."""
    (root / kind).mkdir()
    for name, age in (("young", days - 1), ("old", days + 1)):
        (root / kind / name).touch()
        os.utime(root / kind / name, (time.time() - age * DAY,) * 2)
    collect(root, NO_LIMITS)
    assert [path.name for path in (root / kind).iterdir()] == ["young"]


def test_a_past_build_goes_with_the_last_of_its_results(root: Path) -> None:
    """It keeps none of them; while there is room it stays for as long as one is left, else while all are."""
    folder = root / "history/toy-12345678"
    folder.mkdir(parents=True)
    for name, keys in (("lost", KEYS[:1]), ("part", KEYS[:2]), ("whole", KEYS[1:]), ("none", [])):
        stages = {key: {"key": key, "stored": True} for key in keys} | {"convert": {"key": "f" * 32, "stored": False}}
        sealed.write(folder / f"{name}.json", "history 1", json.dumps({"stages": stages}).encode())
    report = collect(root, Limits(look(root).size - MIB))
    assert kept(root) == ["1", "2", "3"]
    assert report.removed["history"] == 1
    assert sorted(path.name for path in folder.iterdir()) == ["none.json", "part.json", "whole.json"]
    lease = Lease(root)
    lease.hold(*(f"results/{key}" for key in KEYS))
    collect(root, NOTHING)
    assert sorted(path.name for path in folder.iterdir()) == ["none.json", "whole.json"]
    lease.release()
    collect(root, Limits(None, None))
    assert sorted(path.name for path in folder.iterdir()) == ["none.json", "whole.json"]
    collect(root, NOTHING)
    assert sorted(path.name for path in folder.iterdir()) == ["none.json"]


def test_package_lists_go_whole_unless_somebody_reads_them(root: Path) -> None:
    """A folder with its lock is one thing."""
    for name in ("free", "held"):
        (root / "apt" / name / "lists").mkdir(parents=True)
        (root / "apt" / name / "lists/file").write_bytes(bytes(MIB))
        (root / "apt" / name / "lock").touch()
    lock = Lock(root / "apt/held/lock")
    assert lock.try_acquire()
    report = collect(root, NOTHING)
    assert report.removed["apt"] == 1
    assert [path.name for path in (root / "apt").iterdir()] == ["held"]
    lock.release()


def test_a_result_whose_files_were_never_stored_stays(root: Path) -> None:
    """It tells what a stage gives that is sooner made again than kept."""
    store = Store(root)
    store.put_result("f" * 32, {"out": {"hash": "e" * 32, "size": 5, "file": "out"}})
    store.lease.release()
    collect(root, NO_LIMITS)
    assert store.result("f" * 32)
    store.lease.release()


def test_what_is_not_gcs_stays(root: Path) -> None:
    """The secret above all: without it every stage that takes one is built again."""
    others = ["secret.key", "memo", "tools", "CACHEDIR.TAG", "somebody/elses"]
    for name in others:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(bytes(MIB))
    assert collect(root, NOTHING).is_over
    assert all((root / name).exists() for name in others)
    assert kept(root) == []


# -- what stays


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
    real = Shelf.add

    def add(shelf: Shelf, digest: str, content: memoryview | bytes) -> None:
        collect(root, NOTHING)
        real(shelf, digest, content)

    store = Store(root)
    monkeypatch.setattr(Shelf, "add", add)
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


# -- how it goes about it


def test_a_dry_run_changes_nothing_and_is_right(root: Path) -> None:
    """It says what then happens."""

    def everything() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file())

    before = everything()
    limits = Limits(look(root).size - MIB)
    said = collect(root, limits, dry_run=True)
    assert everything() == before
    done = collect(root, limits)
    assert (said.removed, said.after) == (done.removed, done.after)


def test_one_gc_at_a_time(root: Path) -> None:
    """The second waits if it may, and is told for whom."""
    process = peer.start(HOLD, root / GC)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Busy):
        collect(root, NOTHING)
    told = []

    def waiting(holder: str) -> None:
        told.append(holder)
        process.communicate(timeout=peer.TIMEOUT)

    collect(root, NOTHING, waiting=waiting)
    assert told[0].startswith(f"pid {process.pid}: ")
    assert kept(root) == []


def test_who_cannot_note_what_it_uses_keeps_gc_out(root: Path) -> None:
    """A full disk must not make a build lose what it needs."""
    removal = Lock(root / REMOVAL)
    removal.acquire(shared=True)
    with pytest.raises(Busy):
        collect(root, NOTHING)
    removal.release()
    assert kept(root) == ["0", "1", "2", "3"]


def test_killed_at_any_removal_it_leaves_a_sound_store(root: Path, tmp_path: Path) -> None:
    """Whatever is still said to be there is, and the next gc finishes (L11)."""
    for number in range(100):
        victim = tmp_path / f"copy{number}"
        shutil.copytree(root, victim, symlinks=True)
        process = peer.start(COLLECT, victim, number)
        with process:
            process.communicate(timeout=peer.TIMEOUT)
        kept(victim)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        collect(victim, NOTHING)
        assert kept(victim) == []
        assert not look(victim).items
        shutil.rmtree(victim)
    else:
        pytest.fail("it never came to its end")
    assert number > len(KEYS)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """There is nothing to do."""
    assert collect(tmp_path / "nowhere", NOTHING) == Report(NOTHING)
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_written_is_an_error_in_words(root: Path, tmp_path: Path) -> None:
    """With its name."""
    shutil.rmtree(root / "locks")
    (root / "locks").touch()
    with pytest.raises(CacheError, match=str(tmp_path)):
        collect(root, NOTHING)


def test_a_file_that_cannot_be_removed_is_an_error_in_words(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the rest is as it was."""

    def deny(path: Path, missing_ok: bool = False) -> None:  # noqa: ARG001
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", deny)
    with pytest.raises(CacheError, match="cannot be cleared: Permission denied"):
        collect(root, NOTHING)
