"""cache/store/lease.py: what a living process named is known to be in use; what a dead one named is not."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.store import lease as leases
from bootsmith.cache.store.lease import GC, LEASES, REMOVAL, Lease, Leased

from tests.support import other_process

HOLD = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.store.lease import Lease
lease = Lease(Path(sys.argv[1]))
lease.hold("blobs/a", "blobs/b")
print("held", flush=True)
if sys.stdin.read() == "die":
    os.kill(os.getpid(), signal.SIGKILL)
"""
FORK_AND_DIE = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.store.lease import Lease
lease = Lease(Path(sys.argv[1]))
lease.hold("blobs/a")
if not os.fork():
    lease.hold("blobs/child")
    print("held", flush=True)
    sys.stdin.read()
    sys.exit()
os.kill(os.getpid(), signal.SIGKILL)
"""


def leased(root: Path) -> set[str]:
    """Return what a gc that begins now finds leased."""
    with FileLock(root / REMOVAL):
        return Leased(root).refresh()


def test_what_is_held_is_known_to_others(tmp_path: Path) -> None:
    """From the moment it is held to the release, by every name it was given (W9)."""
    lease = Lease(tmp_path)
    lease.hold("blobs/a")
    lease.hold("blobs/a", "results/b")
    assert leased(tmp_path) == {"blobs/a", "results/b"}
    lease.release()
    assert leased(tmp_path) == set()
    lease.hold("blobs/c")
    assert leased(tmp_path) == {"blobs/c"}


def test_a_name_is_noted_once(tmp_path: Path) -> None:
    """Asking for a thing again costs no line."""
    lease = Lease(tmp_path)
    for _ in range(3):
        lease.hold("blobs/a", "blobs/b")
    (note,) = (tmp_path / LEASES).iterdir()
    assert note.read_text() == "blobs/a\nblobs/b\n"


def test_threads_share_a_lease(tmp_path: Path) -> None:
    """What any of them holds is noted, whole."""
    lease = Lease(tmp_path)
    names = {f"blobs/{number:032x}" for number in range(500)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lease.hold, names))
    assert leased(tmp_path) == names


def test_it_lasts_as_long_as_its_process(tmp_path: Path) -> None:
    """However the process ends; what it left is cleared away."""
    for ending in ("die", "end"):
        process = other_process.start(HOLD, tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert leased(tmp_path) == {"blobs/a", "blobs/b"}
        process.communicate(ending, timeout=other_process.TIMEOUT)
        assert process.returncode == (-signal.SIGKILL if ending == "die" else 0)
        assert leased(tmp_path) == set()
        assert not list((tmp_path / LEASES).iterdir())


def test_one_that_ends_during_a_gc_counts_to_its_end(tmp_path: Path) -> None:
    """What its process finished, gc may have looked for too early."""
    gc = FileLock(tmp_path / GC)
    gc.acquire()
    seen = Leased(tmp_path)
    lease = Lease(tmp_path)
    lease.hold("blobs/a")
    lease.release()
    assert seen.refresh() == {"blobs/a"}
    assert seen.refresh() == set()  # nothing new
    assert seen.names == {"blobs/a"}
    gc.release()
    assert leased(tmp_path) == set()


def test_looking_meets_leases_that_come_and_go(tmp_path: Path) -> None:
    """Who only looks takes no lock: one that ends meanwhile is neither an error nor made again."""
    lease, other = Lease(tmp_path), Lease(tmp_path)
    lease.hold("blobs/a")
    other.hold("blobs/b")
    seen = Leased(tmp_path, clear=False)
    gone = sorted((tmp_path / LEASES).iterdir())
    seen._files = lambda: gone  # type: ignore[method-assign]  # listed, and then gone
    lease.release()
    assert seen.refresh() == {"blobs/b"}
    assert not leases._is_held(next(path for path in gone if not path.exists()))
    assert len(list((tmp_path / LEASES).iterdir())) == 1
    other.release()


def test_a_forked_child_has_its_own(tmp_path: Path) -> None:
    """The parent's dies with the parent, while the child's lives."""
    process = other_process.start(FORK_AND_DIE, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.wait(timeout=other_process.TIMEOUT)
    assert leased(tmp_path) == {"blobs/child"}
    process.communicate("", timeout=other_process.TIMEOUT)


def test_nothing_is_noted_during_a_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants to hold something has to wait: it may be what is just removed."""
    asked = []
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        asked.append((Path(f"/proc/self/fd/{descriptor}").readlink(), how))
        if how == fcntl.LOCK_SH and not (tmp_path / LEASES).exists():
            with pytest.raises(BlockingIOError):
                real(descriptor, how | fcntl.LOCK_NB)
            removal.release()
        real(descriptor, how)

    removal = FileLock(tmp_path / REMOVAL)
    removal.acquire()
    monkeypatch.setattr(leases.fcntl, "flock", flock)
    Lease(tmp_path).hold("blobs/a")
    assert asked[0] == (tmp_path / REMOVAL, fcntl.LOCK_SH)


def test_a_full_disk_keeps_gc_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be noted is held all the same: nothing is removed until the process is done, without an error."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    lease = Lease(tmp_path)
    lease.hold("blobs/a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        lease.hold("blobs/b")
    lease.hold("blobs/c")
    removal = FileLock(tmp_path / REMOVAL)
    assert not removal.try_acquire()
    lease.release()
    assert removal.try_acquire()


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Looking into a store leaves no trace where there is none."""
    Lease(tmp_path / "nowhere").hold("blobs/a")
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_written_can_be_used(tmp_path: Path) -> None:
    """No note, and no error: reading goes on."""
    (tmp_path / "locks").touch()
    lease = Lease(tmp_path)
    lease.hold("blobs/a")
    lease.hold("blobs/b")
    lease.release()
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
