"""cache/keep/key_lock.py: one makes a key, the others wait and are told for whom."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from bootsmith.cache.keep.key_lock import hold, sweep

from tests.support import other_process

KEY = "a" * 32
COUNT = """
import sys
from pathlib import Path
from bootsmith.cache.keep.key_lock import hold
print("ready", flush=True)
sys.stdin.read()
counter = Path(sys.argv[2])
for _ in range(50):
    with hold(Path(sys.argv[1]), "a" * 32, lambda _: None):
        counter.write_text(str(int(counter.read_text()) + 1))
"""
HOLD = """
import sys
from pathlib import Path
from bootsmith.cache.keep.key_lock import hold
with hold(Path(sys.argv[1]), "a" * 32, lambda _: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def refuse(holder: str) -> None:
    """Fail a test that has to wait."""
    raise AssertionError(holder)


def test_one_at_a_time(tmp_path: Path) -> None:
    """However many come, and go, at once; nothing is left of it."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    peers = [other_process.start(COUNT, tmp_path / "store", counter) for _ in range(4)]
    for process in peers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in peers:
        other_process.finish(process)
    assert counter.read_text() == "200"
    assert list((tmp_path / "store/locks").iterdir()) == []


def test_who_waits_is_told_for_whom(tmp_path: Path) -> None:
    """And has its turn when the other is gone, however that went."""
    process = other_process.start(HOLD, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    told = []

    def waiting(holder: str) -> None:
        told.append(holder)
        os.kill(process.pid, signal.SIGKILL)

    with hold(tmp_path, KEY, waiting):
        assert told[0].startswith(f"pid {process.pid}: ")
    process.communicate(timeout=other_process.TIMEOUT)


def test_what_the_dead_left_is_swept_away(tmp_path: Path) -> None:
    """What somebody holds stays, and so do other locks."""
    process = other_process.start(HOLD, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    sweep(tmp_path)
    assert [path.name for path in (tmp_path / "locks").iterdir()] == [KEY]
    process.kill()
    process.communicate(timeout=other_process.TIMEOUT)
    (tmp_path / "locks/gc").touch()
    sweep(tmp_path)
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["gc"]
    sweep(tmp_path / "nowhere")


def test_different_keys_do_not_meet(tmp_path: Path) -> None:
    """Who makes something else need not wait."""
    with hold(tmp_path, KEY, refuse), hold(tmp_path, "b" * 32, refuse):
        assert len(list((tmp_path / "locks").iterdir())) == 2


def test_a_failure_ends_the_turn(tmp_path: Path) -> None:
    """The next one may try."""
    with pytest.raises(ValueError, match="no luck"), hold(tmp_path, KEY, refuse):
        raise ValueError("no luck")
    with hold(tmp_path, KEY, refuse):
        pass


def test_a_store_that_cannot_be_written_gives_no_turns(tmp_path: Path) -> None:
    """What cannot be kept everybody makes."""
    (tmp_path / "locks").touch()
    with hold(tmp_path, KEY, refuse), hold(tmp_path, KEY, refuse):
        pass
