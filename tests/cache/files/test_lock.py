"""cache/files/lock.py: one at a time, whoever waits knows for whom, and nobody waits for the dead."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from subprocess import Popen

import pytest
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import lock as locks
from bootsmith.cache.files.lock import FileLock

from tests.support import other_process, record_locks

HOLD = """
import sys
from pathlib import Path
from bootsmith.cache.files.lock import FileLock
lock = FileLock(Path(sys.argv[1]), create=sys.argv[3] == "create")
lock.acquire(shared=sys.argv[2] == "shared")
print("held", flush=True)
sys.stdin.read()
"""
HOLD_AND_START_A_CHILD = """
import os, signal, subprocess, sys
from pathlib import Path
from bootsmith.cache.files.lock import FileLock
FileLock(Path(sys.argv[1])).acquire()
child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, close_fds=False)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a lock is to be."""
    return tmp_path / "build/lock"


def is_free(path: Path, *, shared: bool = False, create: bool = True) -> bool:
    """Tell whether a lock could be taken now."""
    lock = FileLock(path, create=create)
    try:
        return lock.try_acquire(shared)
    finally:
        lock.release()


def holder(path: Path, how: str = "exclusive", create: str = "create") -> Popen[str]:
    """Start a process that holds a lock until its input ends."""
    process = other_process.start(HOLD, path, how, create)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_only_one_holds_it(file: Path) -> None:
    """A second lock, in the same process too, has to wait; after the release it need not."""
    first, second = FileLock(file), FileLock(file)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert not second.try_acquire(shared=True)
    first.release()
    assert second.try_acquire()
    second.release()


def test_many_share_it(file: Path) -> None:
    """Shared holders keep out the exclusive one and nobody else."""
    readers = [FileLock(file), FileLock(file)]
    assert all(lock.try_acquire(shared=True) for lock in readers)
    writer = FileLock(file)
    assert not writer.try_acquire()
    for lock in readers:
        lock.release()
    assert writer.try_acquire()
    writer.release()


def test_with_holds_and_lets_go(file: Path) -> None:
    """A `with` block holds the lock, even one acquired before, and releases it on an error."""
    with FileLock(file):
        assert not is_free(file)
    assert is_free(file)
    with pytest.raises(KeyboardInterrupt), FileLock(file):
        raise KeyboardInterrupt
    assert is_free(file)
    lock = FileLock(file)
    lock.acquire(shared=True)
    with lock:
        assert is_free(file, shared=True)
    assert is_free(file)


def test_taking_it_twice_is_a_mistake_of_ours(file: Path) -> None:
    """One object holds at most once; waiting for itself would never end."""
    with FileLock(file) as lock, pytest.raises(RuntimeError, match="already"):
        lock.acquire()


RECORD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_SH, 1, int(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("byte", [0, 100, 203])
def test_locks_of_another_kind_are_seen(file: Path, byte: int) -> None:
    """QEMU, libvirt and others lock single bytes by fcntl(2), of either kind, which flock(2) knows nothing of."""
    file.parent.mkdir()
    file.write_bytes(b"an image")
    with FileLock(file, create=False) as lock:
        assert not lock.is_used()
        with record_locks.held(file, byte):
            assert lock.is_used()
        assert not lock.is_used()
        process = other_process.start(RECORD, file, byte)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert lock.is_used()
        other_process.finish(process)
        assert not lock.is_used()
    assert file.read_bytes() == b"an image"


def test_releasing_what_is_not_held_does_nothing(file: Path) -> None:
    """Clean-up code may release without asking."""
    FileLock(file).release()
    assert not file.exists()


@pytest.mark.parametrize("how", ["exclusive", "shared"])
def test_who_waits_is_told_for_whom(file: Path, how: str) -> None:
    """The holder's process id and command line are named, once, before the wait."""
    told: list[str] = []
    lock = FileLock(file)
    lock.acquire(waiting=told.append)
    lock.release()
    assert told == []
    process = holder(file, how)

    def tell(who: str) -> None:
        told.append(who)
        other_process.finish(process)

    assert lock.acquire(waiting=tell)
    assert len(told) == 1
    assert told[0].startswith(f"pid {process.pid}: ")
    assert "-c" in told[0]
    assert "\n" not in told[0]
    lock.release()


def test_a_holder_can_be_named_without_the_kernels_list(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another container /proc/locks tells nothing: the note in the file does."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/doit", "image", "two\nlines"])
    monkeypatch.setattr(locks, "_process", lambda _: None)
    with FileLock(file), file.open("rb") as reading:
        assert locks._holder(reading.fileno()) == f"pid {os.getpid()}: doit image two lines"


def test_a_script_is_named_without_its_interpreter() -> None:
    """`python /usr/bin/doit image` is `doit image` to who typed it; `python -c ...` stays what it is."""
    assert locks._command([b"/usr/bin/python3.11", b"/usr/bin/doit", b"image"]) == b"doit image"
    assert locks._command([b"/usr/bin/python3", b"-c", b"pass"]) == b"python3 -c pass"
    assert locks._command([b"python3"]) == b"python3"
    assert len(locks._command([b"doit", b"x" * 5000])) == locks.SHOWN


def test_a_lock_ends_with_its_process(file: Path) -> None:
    """SIGKILL releases; the dead one's note bothers nobody (C8)."""
    process = holder(file)
    os.kill(process.pid, signal.SIGKILL)
    with process:
        process.wait(timeout=other_process.TIMEOUT)
    assert f"pid {process.pid}" in file.read_text()
    with FileLock(file):
        assert f"pid {os.getpid()}" in file.read_text()


def test_a_program_started_meanwhile_does_not_hold_it(file: Path) -> None:
    """Children never inherit the lock: it ends with its holder though they live."""
    process = other_process.start(HOLD_AND_START_A_CHILD, file)
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait(timeout=other_process.TIMEOUT)
    try:
        os.kill(child, 0)
        assert is_free(file)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("content", [b"\0" * 4096, b"pid 1: not all of it\nmore", b"x", b""])
@pytest.mark.parametrize("create", [True, False])
def test_any_file_can_be_locked_and_stays_as_it_is(tmp_path: Path, content: bytes, create: bool) -> None:
    """An image is locked by itself: not a byte of it changes, nor its times."""
    image = tmp_path / "disk.raw"
    image.write_bytes(content)
    before = image.stat()
    with FileLock(image, create=create):
        assert not is_free(image, shared=True, create=create)
    assert image.read_bytes() == content
    assert image.stat().st_mtime_ns == before.st_mtime_ns
    assert image.stat().st_ctime_ns == before.st_ctime_ns


def test_an_image_that_is_only_readable_can_be_locked(tmp_path: Path) -> None:
    """Locking needs no right to write."""
    image = tmp_path / "disk.raw"
    image.write_bytes(b"image")
    image.chmod(0o444)
    for create in (True, False):
        with FileLock(image, create=create):
            assert not is_free(image)
    assert image.read_bytes() == b"image"


def test_the_holder_of_an_image_is_named(tmp_path: Path) -> None:
    """There is no note in an image; the kernel knows."""
    image = tmp_path / "disk.raw"
    image.write_bytes(b"image")
    process = holder(image, "shared", "only")
    told: list[str] = []

    def tell(who: str) -> None:
        told.append(who)
        other_process.finish(process)

    lock = FileLock(image, create=False)
    lock.acquire(waiting=tell)
    lock.release()
    assert told[0].startswith(f"pid {process.pid}: ")


def test_an_image_that_is_missing_is_not_made(tmp_path: Path) -> None:
    """With `create` off a missing file is an error, naming it."""
    with pytest.raises(CacheError, match=r"disk\.raw cannot be locked: No such file"):
        FileLock(tmp_path / "disk.raw", create=False).acquire()
    assert list(tmp_path.iterdir()) == []


def test_a_file_replaced_during_the_wait_is_not_the_one_held(file: Path) -> None:
    """Who waited holds what stands at the path now, not what stood there."""
    with FileLock(file):
        pass
    process = holder(file)

    def replace(_who: str) -> None:
        file.unlink()
        other_process.finish(process)

    lock = FileLock(file)
    lock.acquire(waiting=replace)
    assert file.exists()
    assert not is_free(file)
    lock.release()


def test_a_place_without_room_for_a_lock_is_named(tmp_path: Path) -> None:
    """The error says which lock could not be taken, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="file/lock cannot be locked") as error:
        FileLock(tmp_path / "file/lock").acquire()
    assert error.value.hint
