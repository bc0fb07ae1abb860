"""The builder of a plan: what it says of a stage it made, what it forgets, what it clears away."""

from __future__ import annotations

import shutil

import pytest
from bootsmith.tasks.errors import StageError

from tests.support.quick_stages import QuickStages


def test_an_outcome_says_what_was_done_and_why(quick: QuickStages) -> None:
    """Built, with the reason; then fresh, without one; the size is that of the outputs."""
    stage = quick.stage("copy")
    made = quick.builder(stage).ensure(stage)
    assert (made.state, [each.kind for each in made.reasons]) == ("built", ["record"])
    quick.source.write_text("two")
    again = quick.builder(stage).ensure(stage)
    assert (again.state, [each.kind for each in again.reasons]) == ("built", ["input"])
    fresh = quick.builder(stage).ensure(stage)
    assert (fresh.state, fresh.reasons, fresh.size) == ("fresh", (), quick.out.stat().st_blocks * 512)


def test_forgotten_is_forgotten_until_it_is_built(quick: QuickStages) -> None:
    """A stage that was forgotten and fails is still to be built, not restored; once built, it is fresh again."""
    stage = quick.stage("copy")
    builder = quick.builder(stage)
    builder.ensure(stage)
    builder.forget(stage)
    quick.source.write_text("fail")
    with pytest.raises(StageError):
        builder.ensure(stage)
    quick.source.write_text("one")
    assert quick.builder(stage).ensure(stage).state == "built"
    assert quick.builder(stage).ensure(stage).state == "fresh"


def test_cleaning_takes_what_the_stage_made_and_no_more(quick: QuickStages) -> None:
    """Outputs, the record and the folders that are empty then; asked what it would do, it says so and does nothing."""
    stage = quick.stage("copy")
    builder = quick.builder(stage)
    builder.ensure(stage)
    (quick.out.parent / "mine").write_text("")
    assert builder.clean(stage, dry_run=True) == [quick.out]
    assert builder.status(stage).fresh
    assert builder.clean(stage) == [quick.out]
    assert [path.name for path in quick.out.parent.iterdir()] == ["mine"]
    assert not builder.freshness.record(stage).exists()
    assert builder.clean(stage) == []


def test_what_a_stage_took_is_known_without_its_record(quick: QuickStages) -> None:
    """Its record tells, else the last build in the history; of what was never built nothing is known."""
    stage = quick.stage("copy")
    builder = quick.builder(stage)
    assert builder.cost(stage) is None
    builder.ensure(stage)
    known = builder.cost(stage)
    assert known is not None
    assert known.space > 0
    builder.close()
    shutil.rmtree(quick.top / "build")
    assert quick.builder(stage).cost(stage) == known
    shutil.rmtree(quick.top / "cache/history")
    assert quick.builder(stage).cost(stage) is None


def test_a_run_begins_with_nothing_half_made(quick: QuickStages) -> None:
    """What a killed run left in the work directories is cleared away; records stay."""
    stage = quick.stage("copy")
    builder = quick.builder(stage)
    builder.ensure(stage)
    left = builder.state / "tmp/made/0/work/deep"
    left.mkdir(parents=True)
    builder.open()
    assert not (builder.state / "tmp").exists()
    assert builder.status(stage).fresh
