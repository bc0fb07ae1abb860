"""cache: the same as `python -m bootsmith.cache`, said by this command line."""

from __future__ import annotations

import json

from bootsmith.tasks.command.actions import cache_commands

from tests.command.actions.conftest import Calls


def test_the_cache_is_told_of(call: Calls) -> None:
    """By the word that follows, with its options."""
    cache_commands.cache(call("cache", "path"))
    assert call.said == f"{call.top.parent / 'cache'}\n"
    cache_commands.cache(call("cache", "stat", json=True))
    assert json.loads(call.said.partition("\n")[2])["root"] == str(call.top.parent / "cache")
