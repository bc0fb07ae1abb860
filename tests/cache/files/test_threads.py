"""cache/files/threads.py: the work is done once, by several, and a failure is everybody's."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from bootsmith.cache.files import threads


@pytest.mark.parametrize("most", [1, 2, 4, None])
def test_everything_is_done_once(most: int | None) -> None:
    """However many threads there are."""
    done: list[int] = []
    threads.share(range(1000), done.extend, most)
    assert sorted(done) == list(range(1000))


def test_several_work_at_once() -> None:
    """Nobody waits for another to finish."""
    together = threading.Barrier(4)
    threads.share(range(4), lambda items: [together.wait() for _ in items] and None, 4)
    assert not together.broken


@pytest.mark.parametrize("most", [1, 4])
def test_one_failure_ends_the_work_and_is_raised(most: int) -> None:
    """What is left is not begun; no thread is left behind."""
    before = threading.active_count()
    done: list[int] = []

    def work(items: Iterator[int]) -> None:
        for item in items:
            if item == 10:
                raise ValueError(item)
            done.append(item)

    with pytest.raises(ValueError, match="10"):
        threads.share(iter(range(1_000_000)), work, most)
    assert len(done) < 1_000_000
    assert threading.active_count() == before


def test_threads_are_no_more_than_the_processors_we_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confined to one processor, there is no thread but this; of many, a few."""
    started: list[str] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    threads.share(range(10), lambda items: started.extend(threading.current_thread().name for _ in items))
    assert set(started) == {threading.current_thread().name}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    calls: list[int] = []
    threads.share(range(10), lambda items: calls.append(len(list(items))))
    assert len(calls) == threads.MOST
