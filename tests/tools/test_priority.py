"""What a command line takes of the host: less, where it is asked to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.tools import priority

PROGRAM = """
import os, subprocess
from bootsmith.tasks.tools import priority
priority.lower({word!r})
print(os.getpriority(os.PRIO_PROCESS, 0), subprocess.check_output(["ionice"], text=True).strip())
"""


@pytest.mark.parametrize(("word", "least", "disk"), [("low", 10, "best-effort: prio 7"), ("idle", 19, "idle")])
def test_what_is_started_takes_less(word: str, least: int, disk: str) -> None:
    """Of processor and disk, as nice and ionice would have it (L23)."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(word=word)], capture_output=True, text=True, check=True)
    nice, _, told = done.stdout.strip().partition(" ")
    assert int(nice) >= least
    assert told == disk


def test_nothing_asked_is_nothing_changed() -> None:
    """And another word is refused, with the two there are."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    priority.lower(priority.asked({}))
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    assert priority.asked({"BOOTSMITH_PRIORITY": "low"}) == "low"
    with pytest.raises(UsageError, match=r"BOOTSMITH_PRIORITY: there is no priority lowest\n  Write low or idle\."):
        priority.lower("lowest")
