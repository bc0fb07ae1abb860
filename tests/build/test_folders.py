"""Outputs that are folders: made whole, put in the place of others, looked at with all that is in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.build import folders, leftovers, workdir
from bootsmith.tasks.build.plan import from_json, to_json
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError

from tests.support.quick_stages import QuickStages


@pytest.fixture
def stage(quick: QuickStages) -> Stage:
    """A stage that makes a folder of what the source says."""
    return quick.stage("grow", stored=False, folders=True)


def test_a_folder_is_made_whole_and_replaced_whole(quick: QuickStages, stage: Stage) -> None:
    """Nothing of the older one stays in it, though nobody may write to its top."""
    quick.builder(stage).ensure(stage)
    assert (quick.out / "one").read_text() == "one"
    quick.source.write_text("two")
    quick.builder(stage).ensure(stage)
    assert [each.name for each in quick.out.iterdir()] == ["two"]
    assert quick.out.stat().st_mode & 0o777 == 0o555
    assert quick.builder(stage).status(stage).fresh
    assert not [*(quick.top / "build/.bootsmith/tmp").rglob("*")]


def test_what_fails_leaves_the_last_one(quick: QuickStages, stage: Stage) -> None:
    """Nothing half made comes to its place (L11)."""
    quick.builder(stage).ensure(stage)
    quick.source.write_text("fail")
    with pytest.raises(StageError, match="the source says fail"):
        quick.builder(stage).ensure(stage)
    assert [each.name for each in quick.out.iterdir()] == ["one"]
    assert not quick.builder(stage).status(stage).fresh


def test_whatever_is_changed_in_it_is_noticed(quick: QuickStages, stage: Stage) -> None:
    """Content, mode, a file more, whose it is; and it is made again (V6)."""
    quick.builder(stage).ensure(stage)

    def own(path: Path) -> None:
        path.chmod(0o600) if os.geteuid() else os.chown(path, 33, 33)

    for number, change in enumerate(
        (
            lambda path: path.write_text("no"),
            lambda path: path.chmod(0o600),
            lambda path: (path.parent.chmod(0o755), (path.parent / "more").touch(), path.parent.chmod(0o555)),
            own,
            lambda path: (path.parent.chmod(0o755), path.unlink()),
        )
    ):
        change(quick.out / "one")
        builder = quick.builder(stage)
        status = builder.status(stage)
        assert not status.fresh, number
        assert "output out was changed by somebody else" in status.reasons[0].text
        assert builder.ensure(stage).state == "built"
    assert quick.runs == 6


def test_cleaning_removes_it(quick: QuickStages, stage: Stage) -> None:
    """As what no plan makes any more; a link to a folder elsewhere, or a file in its place, is somebody's own."""
    builder = quick.builder(stage)
    builder.ensure(stage)
    assert leftovers.note(builder.state, builder.plan) == []
    assert builder.clean(stage, dry_run=True) == [quick.out]
    without = builder.plan._replace(stages=(), products=())
    assert leftovers.note(builder.state, without) == [quick.out]
    assert builder.clean(stage) == [quick.out]
    assert not quick.out.exists()
    assert leftovers.note(builder.state, without) == []
    quick.out.parent.mkdir(parents=True)
    quick.out.symlink_to(quick.top)
    with pytest.raises(StageError, match="not a folder"):
        workdir.guard_targets([stage])
    quick.out.unlink()
    quick.out.touch()
    with pytest.raises(StageError, match="not a folder"):
        quick.builder(stage).ensure(stage)


def test_it_weighs_what_its_files_do(quick: QuickStages, stage: Stage) -> None:
    """And a remembered plan still knows that it is a folder."""
    builder = quick.builder(stage)
    builder.ensure(stage)
    assert folders.weight(quick.out) == 3
    assert builder.occupied(stage) > 0
    assert from_json(to_json(builder.plan)).stages == (stage,)
