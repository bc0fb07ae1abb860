"""What a session says to its user by itself."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.invocation import Invocation
from bootsmith.tasks.command.progress import Progress
from bootsmith.tasks.command.session import Session


@pytest.mark.parametrize(
    ("uid", "caller", "told"),
    [
        (1000, "", ""),
        (0, "", "run as root, which it does not need: what is made here will be root's\n"),
        (
            0,
            "ann",
            "run as root, which it does not need: what is made here will be root's; ann can run it without sudo\n",
        ),
    ],
)
def test_only_root_hears_that_root_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, caller: str, told: str
) -> None:
    """And only once (A19)."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setenv("SUDO_USER", caller)
    stream = io.StringIO()
    session = Session(Path("x.yaml"), Invocation("run", {}, (), {}), tmp_path, tmp_path, Progress(stream))
    session.remark_on_root()
    session.remark_on_root()
    assert stream.getvalue() == told
