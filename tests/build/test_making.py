"""One stage in the making: what is recorded is what was made of what was read, and a failure leaves nothing behind."""

from __future__ import annotations

import shutil

import pytest
from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.build.making import ATTEMPTS
from bootsmith.tasks.errors import StageError

from tests.support.quick_stages import QuickStages


def test_a_failure_leaves_the_last_output_and_no_record(quick: QuickStages) -> None:
    """The file there was is as it was, nobody takes it for the new one, and nothing half made is left."""
    stage = quick.stage("copy")
    quick.builder(stage).ensure(stage)
    quick.source.write_text("fail")
    builder = quick.builder(stage)
    with pytest.raises(StageError, match="the source says fail"):
        builder.ensure(stage)
    assert quick.out.read_text() == "one"
    assert not builder.freshness.record(stage).exists()
    assert not any((builder.state / "tmp").iterdir())
    assert not quick.builder(stage).status(stage).fresh


def test_an_output_that_was_not_made_is_a_bug(quick: QuickStages) -> None:
    """A stage that makes less than it declares is never recorded."""
    stage = quick.stage("nothing")
    with pytest.raises(AssertionError, match="made did not make its output out"):
        quick.builder(stage).ensure(stage)
    assert not quick.builder(stage).freshness.record(stage).exists()


def test_an_input_that_never_rests_ends_the_build(quick: QuickStages) -> None:
    """A source edited during every attempt: exit in words, nothing recorded, no output in place."""
    stage = quick.stage("edit")
    with pytest.raises(StageError, match=f"changed during each of {ATTEMPTS} builds"):
        quick.builder(stage).ensure(stage)
    assert quick.runs == ATTEMPTS
    assert not quick.out.exists()


@pytest.mark.parametrize(("source", "runs"), [("two", 1), ("no patch", 2)])
def test_a_patch_that_fails_is_made_anew(quick: QuickStages, source: str, runs: int) -> None:
    """Whether the previous output could be patched never shows: the bytes are those of the present source."""
    stage = quick.stage("patch", carry="out")
    quick.builder(stage).ensure(stage)
    first, before = quick.out.stat().st_ino, quick.runs
    quick.source.write_text(source)
    assert quick.builder(stage).ensure(stage).state == "built"
    assert quick.out.read_text() == source
    assert quick.runs - before == runs
    assert (quick.out.stat().st_ino == first) is (runs == 1)


def test_what_a_machine_runs_on_is_never_patched(quick: QuickStages) -> None:
    """Who holds the previous output keeps it as it is; the new one is another file."""
    stage = quick.stage("patch", carry="out")
    quick.builder(stage).ensure(stage)
    quick.source.write_text("two")
    with quick.out.open() as held:
        lock = FileLock(quick.out, create=False)
        assert lock.acquire(shared=True)
        quick.builder(stage).ensure(stage)
        lock.release()
        assert held.read() == "one"
    assert quick.out.read_text() == "two"


def test_what_the_store_has_lost_is_built(quick: QuickStages) -> None:
    """A result whose content is gone restores nothing: the stage runs, and the store has it again."""
    stage = quick.stage("copy")
    quick.builder(stage).ensure(stage)
    shutil.rmtree(quick.top / "build")
    assert quick.builder(stage).ensure(stage).state == "restored"
    shutil.rmtree(quick.top / "build")
    shutil.rmtree(quick.top / "cache/indexes")
    assert quick.builder(stage).ensure(stage).state == "built"
    shutil.rmtree(quick.top / "build")
    assert quick.builder(stage).ensure(stage).state == "restored"
    assert quick.runs == 2
