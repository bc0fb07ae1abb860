"""cache/keep/gc.py: what was used least recently goes; and however it ends, the store is sound."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import sealed
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.keep.contents import scan
from bootsmith.cache.keep.gc import Busy, Report, collect
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store.lease import GC, REMOVAL, Lease
from bootsmith.cache.store.store import Store

from tests.support import other_process
from tests.support.four_results import DAY, KEYS, MIB, NO_LIMITS, NOTHING, OWN, kept

HOLD = """
import sys
from pathlib import Path
from bootsmith.cache.files.lock import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
COLLECT = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.keep import gc
from bootsmith.cache.keep.limits import Limits
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


def test_the_least_recently_used_goes_first(root: Path) -> None:
    """As far as the size asks for, with what only it named; what it shares with others stays."""
    report = collect(root, Limits(scan(root).size - MIB))
    assert kept(root) == ["1", "2", "3"]
    assert report.removed == {"results": 1, "blobs": 1, "chunks": 1}
    assert report.before - report.after > MIB
    assert report.after == scan(root).size
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
    collect(root, Limits(scan(root).size - MIB))
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


@pytest.mark.parametrize(("kind", "days"), [("quarantine", 7), ("plans", 30), ("memo.trees", 30)])
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
    report = collect(root, Limits(scan(root).size - MIB))
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
    lock = FileLock(root / "apt/held/lock")
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


def test_a_dry_run_changes_nothing_and_is_right(root: Path) -> None:
    """It says what then happens."""

    def everything() -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file())

    before = everything()
    limits = Limits(scan(root).size - MIB)
    said = collect(root, limits, dry_run=True)
    assert everything() == before
    done = collect(root, limits)
    assert (said.removed, said.after) == (done.removed, done.after)


def test_one_gc_at_a_time(root: Path) -> None:
    """The second waits if it may, and is told for whom."""
    process = other_process.start(HOLD, root / GC)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Busy):
        collect(root, NOTHING)
    told = []

    def waiting(holder: str) -> None:
        told.append(holder)
        process.communicate(timeout=other_process.TIMEOUT)

    collect(root, NOTHING, waiting=waiting)
    assert told[0].startswith(f"pid {process.pid}: ")
    assert kept(root) == []


def test_who_cannot_note_what_it_uses_keeps_gc_out(root: Path) -> None:
    """A full disk must not make a build lose what it needs."""
    removal = FileLock(root / REMOVAL)
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
        process = other_process.start(COLLECT, victim, number)
        with process:
            process.communicate(timeout=other_process.TIMEOUT)
        kept(victim)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        collect(victim, NOTHING)
        assert kept(victim) == []
        assert not scan(victim).items
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
