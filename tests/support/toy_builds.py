"""A toy project with a past: three builds, and what is told and kept of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.toy_project import ToyProject

DISKS = ("FIRST LINEone7a", "SOMETHING ELSEone7a\nb", "FIRST LINEone7a\nb")
"""What the disks of the builds hold, as `log` lists them."""


def three_builds(top: Path) -> ToyProject:
    """Return a toy project with three builds; the present one is the first again."""
    project = ToyProject.make(top)
    project.image()
    (top / "tree/b").write_text("")
    project.image()
    (top / "source").write_text("something else\n")
    project.image()
    (top / "source").write_text("first line\nsecond line\n")
    (top / "tree/b").unlink()
    project.image()
    return project


def log(project: ToyProject, *words: str) -> list[dict[str, Any]]:
    """Return what `doit log --json` tells."""
    done = project.doit("log", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["version"] == 1
    builds: list[dict[str, Any]] = found["builds"]
    return builds
