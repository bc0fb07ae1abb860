"""Subordinate ids: what the host's files grant."""

from __future__ import annotations

import pytest
from bootsmith.tasks.tools import subordinate_ids

TEXT = "alice:100000:65536\n# note\nbroken\n1000:165536:10\nbob:1000000:65536\nalice:300000:5\nzero:1:0\n"


def test_ranges_are_granted_by_name_or_number() -> None:
    """A line may name the user either way; an empty range grants nothing."""
    assert subordinate_ids.granted(TEXT, "carol", 1000) == [(165536, 10)]
    assert subordinate_ids.granted(TEXT, "zero", 7) == []


@pytest.mark.parametrize(("text", "first"), [("", 100_000), (TEXT, 1_065_536), ("a:1:2\n", 100_000)])
def test_proposed_ids_are_free(text: str, first: int) -> None:
    """The line to add takes ids that no other line does."""
    assert subordinate_ids.free(text) == first
