"""log, restore, at=ID: which past build is meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build import past
from bootsmith.tasks.build.history import Entry, History
from bootsmith.tasks.command.actions import past_builds
from bootsmith.tasks.errors import StageError, UsageError

from tests.command.actions.conftest import Calls

IDS = ("aa11" * 8, "aa12" * 8, "bb00" * 8)


@pytest.fixture(name="builds")
def fixture_builds(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The builds there were, the newest first: of the last there is a disk."""
    found = [Entry(each, 0.0, 1_700_000_000.0 - at, (), ("box.raw",), {}) for at, each in enumerate(IDS)]
    monkeypatch.setattr(History, "entries", lambda _: found)
    return found


@pytest.fixture(name="brought")
def fixture_brought(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was brought back: of which build, which stages; of those called kernel there is nothing any more."""
    asked: list[Any] = []

    def bring_back(_freshness: object, entry: Entry, _say: object, _log: object, names: Any = None) -> list[Path]:
        asked.append((entry.id, names))
        if names and "kernel" in names:
            raise StageError("not in the store any more")
        return [Path("box.raw")]

    monkeypatch.setattr(past, "bring_back", bring_back)
    return asked


def test_builds_are_listed(call: Calls, builds: list[Entry]) -> None:
    """All of them, or only the newest so many; as JSON too."""
    assert builds
    past_builds.log(call("log", json=True))
    assert [each["id"] for each in json.loads(call.said)["builds"]] == list(IDS)
    before = len(call.said)
    past_builds.log(call("log", number="1"))
    assert IDS[0][:8] in call.said[before:]
    assert IDS[1][:8] not in call.said[before:]


@pytest.mark.parametrize("number", ["some", "-1", "1.5", ""])
def test_a_number_that_is_none_is_refused(call: Calls, number: str) -> None:
    """And what to write is said."""
    with pytest.raises(UsageError, match=f"log: -n {number}: not a number"):
        past_builds.log(call("log", number=number))


def test_a_build_is_brought_back(call: Calls, builds: list[Entry], brought: list[Any]) -> None:
    """By the beginning of its id, as an option or a variable; its files are named."""
    assert builds
    past_builds.restore(call("restore", at="bb"))
    past_builds.restore(call("restore", given={"at": "AA12"}))
    assert brought == [(IDS[2], None), (IDS[1], None)]
    assert call.said == "box.raw\nbox.raw\n"


@pytest.mark.parametrize(
    ("at", "message", "hint"),
    [
        (None, "restore: which build?", "`doit restore:box --at ID`; `doit log:box` lists the builds there were."),
        ("aa1", "aa1 may be any of aa11aa11 of .*, aa12aa12 of ", "Give more of its digits."),
        ("cc", "there is no build cc", "`doit log:box` lists the builds there were."),
        ("bb00bb01", "there is no build bb00bb01", "Did you mean bb00bb00?"),
    ],
)
def test_a_build_that_is_none_is_refused(
    call: Calls, builds: list[Entry], at: str | None, message: str, hint: str
) -> None:
    """With those that may be meant, or with how they are listed."""
    assert builds
    with pytest.raises(UsageError, match=message) as refused:
        past_builds.restore(call("restore", recipe="box", at=at))
    assert refused.value.hint == hint


def test_before_the_first_build_there_is_none(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes it is said, with the variables that chose the recipe."""
    monkeypatch.setattr(History, "entries", lambda _: [])
    with pytest.raises(UsageError, match="there is no build cc: none was noted yet") as refused:
        past_builds.restore(call("restore", at="cc", given={"recipe": "kernel", "at": "x"}))
    assert refused.value.hint == "`doit recipe=kernel image` makes the first."


def test_a_past_disk_boots_without_its_kernel(call: Calls, builds: list[Entry], brought: list[Any]) -> None:
    """A disk mostly boots by itself; where there was no disk, a kernel that is gone is missed."""
    stages = {"assemble": {}, "kernel": {}}
    builds[2] = Entry(IDS[2], 0.0, 0.0, (), (), stages)
    plan = past_builds.past_plan(call("run-uefi"), "bb")
    assert brought == [(IDS[2], ["assemble"]), (IDS[2], ["kernel"])]
    assert plan.stage("assemble").outputs["disk"].is_relative_to(call.top / "build/box/at")
    builds[2] = Entry(IDS[2], 0.0, 0.0, (), (), {"kernel": {}})
    with pytest.raises(StageError, match="not in the store any more"):
        past_builds.past_plan(call("run-direct", recipe="kernel"), "bb")
