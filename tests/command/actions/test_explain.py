"""explain: what a build would do, told for people and for programs."""

from __future__ import annotations

import json

import pytest
from bootsmith.tasks.command.actions import explain

from tests.command.actions.conftest import Calls


def test_what_a_build_would_do_is_told(call: Calls) -> None:
    """Stage by stage, of the recipe that is meant; nothing is made."""
    explain.explain(call("explain"))
    assert "rootfs" in call.said
    assert "populate/root" in call.said
    assert not (call.top / "build/box/kernel").exists()


def test_programs_are_told_the_same(call: Calls) -> None:
    """As JSON, with a recipe's name too."""
    explain.explain(call("explain", recipe="kernel", json=True))
    told = json.loads(call.said)
    assert {stage["stage"] for stage in told["stages"]} >= {"rootfs", "kernel"}
    assert told["refused"] == []


def test_a_secret_that_is_missing_is_told(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build would not begin; what it would do is told all the same."""
    monkeypatch.delenv("WORD", raising=False)
    call.edit("outputs: [raw, qcow2]", "outputs: [qcow2: {encrypt: {env: WORD}}]")
    explain.explain(call("explain", json=True))
    told = json.loads(call.said)
    assert len(told["refused"]) == 1
    assert "WORD" in told["refused"][0]
    assert told["stages"]
