"""What a host program may take."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.tools import process
from bootsmith.tasks.tools.bounds import Bounds
from bootsmith.tasks.tools.environment import ENVIRONMENT
from bootsmith.tasks.tools.programs import find
from bootsmith.tasks.tools.tool import SH

ROOM = 1 << 30
HUNGRY = "head -c 300000000 /dev/zero | tail -n 1 >/dev/null"  # no line ends: tail keeps all of it
LARGE = "head -c 100000 /dev/zero >large"


@pytest.mark.parametrize(
    ("script", "tight"),
    [
        (HUNGRY, Bounds(60, 100 << 20, 1 << 20)),
        (LARGE, Bounds(60, ROOM, 1000)),
        ("while :; do :; done", Bounds(1, ROOM)),
    ],
    ids=["memory", "file", "time"],
)
def test_what_takes_more_fails(script: str, tight: Bounds, tmp_path: Path) -> None:
    """Memory, a file's size and a processor's time end where they are bounded, and nowhere before."""
    argv = [find(SH), "-c", script]
    assert process.run(argv, env=ENVIRONMENT, cwd=tmp_path, check=False, bounds=tight).status != 0
    if "while" not in script:
        assert process.run(argv, env=ENVIRONMENT, cwd=tmp_path, bounds=Bounds(60, ROOM, 1 << 20)).status == 0


def test_the_program_s_own_name_is_told(tmp_path: Path) -> None:
    """Bounds are no part of what is said of a program, nor of its words, input and output."""
    words = [find(SH), "-c", 'cat; echo "$@"; exit 3', "sh", "a  b", "-t"]
    done = process.run(words, env=ENVIRONMENT, cwd=tmp_path, check=False, input=b"in\n", bounds=Bounds(60, ROOM))
    assert (done.status, done.stdout, done.stderr) == (3, b"in\na  b -t\n", b"")
    with pytest.raises(process.ToolFailed, match=f"^{Path(words[0]).name} exited with status 3"):
        process.run(words, env=ENVIRONMENT, cwd=tmp_path, bounds=Bounds(60, ROOM))
