"""tools: which program of the host is used by what."""

from __future__ import annotations

from typing import Any

import pytest
from bootsmith.tasks.command.actions import host_programs
from bootsmith.tasks.tools import host_table

from tests.command.actions.conftest import Calls


def test_programs_are_listed_with_who_uses_them(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as plans are known: a broken recipe stops nobody from looking at the host."""
    asked: list[Any] = []
    monkeypatch.setattr(host_table, "report", lambda users: asked.append(users) or "the table")
    host_programs.tools(call("tools"))
    request = call("tools")
    request.session.builder()
    host_programs.tools(request)
    assert asked[0] == {}
    assert "partition" in asked[1]["sfdisk"] if "sfdisk" in asked[1] else asked[1]
    assert call.said == "the table\nthe table\n"
