"""cache/store/store.py under faults: whatever fails, dies or fills up, what comes out is right, or nothing does."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files.temporary import sweep
from bootsmith.cache.store.store import Store

from tests.support import failing_syscalls, forked_work, ordinary_user
from tests.support.kill_deadline import Deadline

MIB = 1 << 20
KEY = "ab" * 16


def piece(number: int) -> bytes:
    """Return a chunk that is like no other: of zeros for 0, else every second one packs."""
    return (
        random.Random(number).randbytes(MIB) if number % 2 else (b"%8d" % number if number else bytes(8)) * (MIB // 8)
    )


OLD = piece(1) + piece(2) + piece(3) + b"the old rest"
NEW = piece(1) + piece(4) + piece(0) + piece(5) + b"the new rest"
DOWNLOAD = hashlib.sha256(NEW).hexdigest()


def prepare(top: Path) -> Store:
    """Make a store that holds the old disk, its result, and files to work with."""
    top.mkdir()
    store = Store(top / "store")
    store.put_result(KEY, {"disk": {"hash": store.put_bytes(OLD), "size": len(OLD)}})
    (top / "new").write_bytes(NEW)
    (top / "before").write_bytes(NEW)
    return store


def store_it(store: Store, top: Path) -> None:
    """Store a disk that shares a chunk with what is there, its result, a download."""
    store.put(top / "new", of_bytes(NEW))
    store.put_result("cd" * 16, {"disk": {"hash": of_bytes(NEW), "size": len(NEW)}})
    store.put_sha256(top / "new", DOWNLOAD)
    store.sync()


def fetch_it(store: Store, top: Path) -> None:
    """Restore the old disk twice: to a new place, and onto another version."""
    store.put_bytes(OLD)
    store.fetch(of_bytes(OLD), top / "out/disk")
    store.fetch(of_bytes(OLD), top / "disk", onto=top / "before")


def check(top: Path) -> None:
    """Demand that all there is is right; a chunk that could not be read may have gone to quarantine."""
    store = Store(top / "store")
    moved = (top / "store/quarantine").exists()
    assert moved or store.get_bytes(of_bytes(OLD)) == OLD
    assert store.result(KEY) == {"disk": {"hash": of_bytes(OLD), "size": len(OLD)}}
    assert {each.name for each in store.verify()} <= ({f"blobs/{of_bytes(OLD)}"} if moved else set())
    for content in (OLD, NEW):
        assert store.get_bytes(of_bytes(content)) in (content, None)
    for place in (top / "out/disk", top / "disk"):
        assert not place.exists() or place.read_bytes() == OLD


def check_after(work: Callable[[Store, Path], None], top: Path) -> None:
    """Demand that it works the next time, and that nothing is left over then."""
    for folder in (top, top / "out"):
        sweep(folder)
    (top / "before").write_bytes(NEW)
    store = Store(top / "store")
    store.put_bytes(OLD)
    work(store, top)
    check(top)
    if work is store_it:
        assert store.get_bytes(of_bytes(NEW)) == NEW
        assert store.verify_sha256(DOWNLOAD)
    else:
        assert [(top / place).read_bytes() == OLD for place in ("out/disk", "disk")] == [True, True]
    assert list(top.rglob(".tmp-*")) == []


def calls(work: Callable[[Store, Path], None], top: Path) -> int:
    """Return how many calls there are to fail."""
    store = prepare(top)
    with failing_syscalls.fault_at(0, lambda: None) as fault:
        work(store, top)
    return fault.made


@pytest.mark.soak(ci=12, whole=10_000)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, 0], ids=["ENOSPC", "EIO", "EACCES", "KILL"])
@pytest.mark.parametrize("work", [store_it, fetch_it])
def test_any_call_may_fail_or_be_the_last(
    tmp_path: Path, work: Callable[[Store, Path], None], number: int, rounds: int
) -> None:
    """The n-th opening, writing, renaming, syncing...: words, nothing half, and all is well the next time (C8, L11)."""
    calls(work, tmp_path / "first")  # a process makes more calls the first time: it learns where things are
    total = calls(work, tmp_path / "count")
    assert total > 30
    chance = random.Random(f"{work.__name__} {number}")
    came = 0
    for at in sorted(chance.sample(range(1, total + 1), min(rounds, total))):
        top = tmp_path / str(at)
        store = prepare(top)
        if number:
            said = os.strerror(number)
            with failing_syscalls.fault_at(at, failing_syscalls.failing(number)) as fault:
                try:
                    work(store, top)
                except CacheError as error:
                    said = str(error)
            assert os.strerror(number) in said
            came += fault.came
        else:
            came += forked_work.in_child(lambda: die_at(at, work, store, top)) == signal.SIGKILL  # noqa: B023  # called here
        check(top)
        check_after(work, top)
        shutil.rmtree(top)
    assert came > min(rounds, total) // 3  # on a busy host more calls were counted than are made the next time


def die_at(at: int, work: Callable[[Store, Path], None], store: Store, top: Path) -> None:
    """Work until the `at`-th call."""
    with failing_syscalls.fault_at(at, failing_syscalls.die):
        work(store, top)


CONTENTS = [piece(number) * (number % 2) + piece(number // 2)[: number * 100_000] for number in range(1, 9)]


def work_at_random(top: Path, seed: int) -> None:
    """Store and restore, as a build would, what chance says."""
    chance = random.Random(seed)
    store = Store(top / "store")
    for _ in range(4):
        number = chance.randrange(len(CONTENTS))
        (top / f"source {seed}").write_bytes(CONTENTS[number])
        store.put(top / f"source {seed}", of_bytes(CONTENTS[number]))
        store.put_result(of_bytes(b"%d" % number), {"disk": {"hash": of_bytes(CONTENTS[number]), "size": 1}})
        wanted = chance.randrange(len(CONTENTS))
        store.fetch(
            of_bytes(CONTENTS[wanted]), top / f"out/{wanted}", onto=chance.choice([None, top / f"source {seed}"])
        )
    store.sync()


@pytest.mark.soak(ci=100, whole=5000)
def test_a_process_killed_at_any_moment_spoils_nothing(tmp_path: Path, rounds: int) -> None:
    """SIGKILL while storing and restoring: all that is there is right, and what was left behind goes (C8, L11)."""
    chance = random.Random(20_261_121)
    started = time.monotonic()
    assert forked_work.in_child(lambda: work_at_random(tmp_path, rounds)) == 0
    deadline = Deadline(time.monotonic() - started, chance)
    check_storm(tmp_path)
    for number in range(rounds):
        ended = forked_work.in_child(lambda: work_at_random(tmp_path, number), deadline.draw())  # noqa: B023  # called here
        deadline.note(killed=ended == signal.SIGKILL)
        check_storm(tmp_path)
        for index in (tmp_path / "store/indexes").glob("??/*"):  # else all would soon be there
            if chance.random() < 0.3:
                index.unlink()
        if chance.random() < 0.1:
            shutil.rmtree(tmp_path / "store")
    assert deadline.killed > rounds // 3


def check_storm(top: Path) -> None:
    """Demand that all there is is right, and clear it away."""
    for place in (top / "out").glob("[0-9]*"):
        assert place.read_bytes() == CONTENTS[int(place.name)]
        place.unlink()
    for folder in (top, top / "out"):
        sweep(folder)
        assert list(folder.glob(".tmp-*")) == []
    for rest in top.glob("source *"):
        rest.unlink()
    store = Store(top / "store")
    assert list(store.verify()) == []
    for number, content in enumerate(CONTENTS):
        assert store.get_bytes(of_bytes(content)) in (content, None)
        result = store.result(of_bytes(b"%d" % number))
        assert result is None or result["disk"]["hash"] == of_bytes(content)
    store.put_bytes(b"whatever sweeps")
    assert list((top / "store/tmp").iterdir()) == []


# -- other places


SMALL = """
import errno, os, sys
from pathlib import Path
from bootsmith.cache.errors import CacheError
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.store.store import Store
top = Path(sys.argv[1])
content = (top / "../disk").read_bytes()
store, told = Store(top / "store"), 0
try:
    store.put(top / "../disk", of_bytes(content))
    store.put_result("ab" * 16, {"disk": {"hash": of_bytes(content), "size": len(content)}})
    store.put_sha256(top / "../disk", sys.argv[2])
except CacheError as error:
    assert "store cannot be written: No space left on device" in str(error), error
    told += 1
assert store.get_bytes(of_bytes(content)) in (content, None)
assert list(store.verify()) == []
assert list((top / "store/tmp").glob("*")) == []
source = Store(top / "../source")
try:
    assert source.fetch(of_bytes(content), top / "out")
    assert fingerprint(top / "out") == of_bytes(content)
except CacheError as error:
    assert "out cannot be written: No space left on device" in str(error), error
    assert not (top / "out").exists()
    told += 1
print(told)
"""
MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


@pytest.mark.soak(ci=5, whole=40)
def test_a_full_disk_is_told_and_nothing_is_half(tmp_path: Path, rounds: int) -> None:
    """On file systems of all small sizes, for the store and for what is restored: words, or success."""
    (tmp_path / "disk").write_bytes(NEW)
    Store(tmp_path / "source").put(tmp_path / "disk", of_bytes(NEW))
    (tmp_path / "small").mkdir()
    enter = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "sh", "-c", MOUNTED, "sh"]
    told = []
    for number in range(rounds):
        room = 64 * 1024 + number * 12 * MIB // rounds
        small = [str(room), str(tmp_path / "small")]
        program = [sys.executable, "-c", SMALL, str(tmp_path / "small"), DOWNLOAD]
        done = subprocess.run([*enter, *small, *program], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ordinary_user.CHECKOUT / "src")})  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(int(done.stdout))
    assert told[0] == 2
    assert told[-1] < 2
    assert told == sorted(told, reverse=True)


def test_a_store_on_another_file_system_works(tmp_path: Path) -> None:
    """Nothing is renamed or linked from one to the other."""
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert Path(elsewhere).stat().st_dev != tmp_path.stat().st_dev
        top = tmp_path / "work"
        store = prepare(top)
        away = Store(Path(elsewhere) / "store")
        shutil.copytree(store.root, away.root)
        store_it(away, top)
        fetch_it(away, top)
        assert (top / "out/disk").read_bytes() == (top / "disk").read_bytes() == OLD
        assert away.get_bytes(of_bytes(NEW)) == NEW
        assert list(away.verify()) == []


READ_ONLY = """
import sys
from pathlib import Path
from bootsmith.cache.errors import CacheError
from bootsmith.cache.digest.fingerprint import of_bytes
from bootsmith.cache.store.store import Store
store, digest, out = Store(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3])
assert store.has(digest)
assert store.fetch(digest, out / "disk")
assert of_bytes((out / "disk").read_bytes()) == digest
assert store.result("ab" * 16)["disk"]["hash"] == digest
assert store.sha256(digest) and store.path_sha256(sys.argv[4]) and store.verify_sha256(sys.argv[4])
assert not list(store.verify())
for attempt in (lambda: store.put_bytes(b"new"), lambda: store.put_result("cd" * 16, {})):
    try:
        attempt()
    except CacheError as error:
        assert "Read-only file system" in str(error), error
    else:
        raise AssertionError("written")
store.sync()
"""
BOUND = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


def test_a_store_that_is_only_read_serves_all_the_same(tmp_path: Path) -> None:
    """From a read-only mount everything is restored and verified; storing is an error in words."""
    top = tmp_path / "work"
    store = prepare(top)
    store.put_sha256(top / "new", DOWNLOAD)
    (top / "out").mkdir()
    before = {path: path.lstat().st_ctime_ns for path in store.root.rglob("*")}
    enter = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "sh", "-c", BOUND, "sh"]
    program = [sys.executable, "-c", READ_ONLY, str(store.root), of_bytes(OLD), str(top / "out"), DOWNLOAD]
    done = subprocess.run([*enter, str(store.root), *program], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ordinary_user.CHECKOUT / "src")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path: path.lstat().st_ctime_ns for path in store.root.rglob("*")} == before


# -- what it costs


@pytest.mark.soak(ci=3, whole=10)
def test_twenty_images_cost_little_more_than_one(tmp_path: Path, rounds: int) -> None:
    """Each with one small edit: the store grows by what changed, and every one of them comes back bit for bit."""
    size = 70 * rounds  # MiB, half of it data, of which half packs; the long form is a disk of 700 MiB
    disk, store = tmp_path / "disk", Store(tmp_path / "store")
    with disk.open("wb") as file:
        for number in range(0, size, 2):
            file.seek(number * MIB)
            file.write(piece(number // 2 + 1))
        file.truncate(size * MIB)
    chance = random.Random(20)
    digests, costs = [], []
    for _ in range(20):
        digests.append(fingerprint(disk))
        store.put(disk, digests[-1])
        costs.append(sum(path.stat().st_blocks * 512 for path in store.root.rglob("*")))
        with disk.open("r+b") as file:
            file.seek(chance.randrange(size) * MIB + chance.randrange(MIB - 4096))
            file.write(chance.randbytes(4096))
    assert costs[0] < size * MIB * 0.4
    assert costs[-1] < costs[0] * 1.3
    last = tmp_path / "restored"
    for digest in digests:
        assert store.fetch(digest, last, onto=last)
        assert fingerprint(last) == digest
