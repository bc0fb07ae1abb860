"""image --rebuild: that the same comes about again, in a fresh place; and what is told where it does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from bootsmith.tasks.build.builder import Builder
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.command.actions import rebuilding
from bootsmith.tasks.command.engine.action import Report
from bootsmith.tasks.command.session import Session
from bootsmith.tasks.errors import StageError

from tests.command.actions.conftest import Calls


@pytest.fixture
def built(call: Calls) -> tuple[Session, Builder]:
    """A session, and the builder of its recipe, all of whose stages are fresh."""
    (call.top / "tree/sbin").mkdir()
    (call.top / "tree/sbin/init").write_bytes(b"#!/init")
    (call.top / "tree/sbin/init").chmod(0o755)
    session = call("verify").session
    builder = session.builder()
    session.begin(builder)
    for stage in builder.plan.stages:
        builder.ensure(stage)
    return session, builder


def test_what_is_built_again_is_the_same(call: Calls, built: tuple[Session, Builder]) -> None:
    """Each stage runs, none is restored, and nothing is left of it (V11)."""
    session, builder = built
    report = Report(session, builder)
    report.task = SimpleNamespace(name="image", options={"rebuild": True})
    report.act()
    assert f"box was built again, and is the same: {len(builder.plan.stages)} stages, bit for bit" in call.said
    assert call.said.count("built    again/") == len(builder.plan.stages)
    assert "restored" not in call.said
    assert not (builder.state / "rebuild").exists()
    assert all(builder.status(stage).fresh for stage in builder.plan.stages)


def test_the_first_stage_that_differs_is_named(call: Calls, built: tuple[Session, Builder]) -> None:
    """With the byte, and both files to look at; what stands behind it is not made."""
    session, builder = built
    table = builder.plan.stage("partition").outputs["table"]
    data = bytearray(table.read_bytes())
    data[440] ^= 1
    table.write_bytes(data)
    with pytest.raises(StageError, match=rf"partition made another {table.name} .* byte 440 is the first") as refused:
        rebuilding.rebuild(session, builder)
    assert str(builder.state / "rebuild") in refused.value.hint
    assert "again/assemble" not in call.said
    builder.open()
    assert str(table.name) in [each.name for each in (builder.state / "rebuild").rglob("*")], "it is there to look at"
    table.write_bytes(bytes([*data[:440], data[440] ^ 1, *data[441:]]))
    rebuilding.rebuild(session, builder)
    assert not (builder.state / "rebuild").exists()


@pytest.mark.parametrize("error", [StageError("no"), KeyboardInterrupt(), OSError(28, "full")])
def test_nothing_is_left_of_what_did_not_come_to_its_end(
    built: tuple[Session, Builder], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A second image takes as much room as the first."""
    session, builder = built
    real = rebuilding._build

    def build(session: Session, again: Builder, stage: Stage) -> None:
        if stage.name == "assemble":
            assert (builder.state / "rebuild").exists()
            raise error
        real(session, again, stage)

    monkeypatch.setattr(rebuilding, "_build", build)
    with pytest.raises(type(error)):
        rebuilding.rebuild(session, builder)
    assert not (builder.state / "rebuild").exists()


def test_what_was_killed_is_cleared_away_by_the_next_build(built: tuple[Session, Builder]) -> None:
    """Nobody else knows of it."""
    _, builder = built
    (builder.state / "rebuild/populate").mkdir(parents=True)
    (builder.state / "rebuild/populate/root.img").write_bytes(b"x")
    builder.open()
    assert not (builder.state / "rebuild").exists()
