"""tools: which program of the host is used by what."""

from __future__ import annotations

from typing import Any

import pytest
from bootsmith.tasks.command.actions import host_programs
from bootsmith.tasks.tools import host_table

from tests.command.actions.conftest import Calls


def test_programs_are_listed_with_who_uses_them(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the recipe's plan, which is made to be looked at; a broken recipe stops nobody from looking at the host."""
    asked: list[Any] = []
    monkeypatch.setattr(host_table, "report", lambda users: asked.append(users) or "the table")
    host_programs.tools(call("tools"))
    assert asked[0]["mke2fs"] == ["populate/base", "populate/root"]
    assert not (call.top / "build").exists()
    (call.top / "box.yaml").write_text("source: nothing\n")
    host_programs.tools(call("tools"))
    assert asked[1] == {}
    assert call.said == "the table\nthe table\n"
