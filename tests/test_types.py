"""The types hold, and the check that says so looks at every file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(name="complaints", scope="module")
def fixture_complaints(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what mypy says about the house with one more file in it, which is wrong.

    mypy finds the packages only below a folder named as they are imported; pointed at the checkout it looks at one
    file and is content. The planted error shows that it looks.
    """
    house = tmp_path_factory.mktemp("types") / "bootsmith"
    (house / "tasks").mkdir(parents=True)
    (house / "cache").symlink_to(CHECKOUT / "cache")
    for each in (CHECKOUT / "tasks").iterdir():
        if each.name != "__pycache__":
            (house / "tasks" / each.name).symlink_to(each)
    (house / "tasks/planted.py").write_text("from bootsmith.cache.key import key\n\nnumber: int = key({})\n")
    settings = ["--config-file", str(CHECKOUT / "pyproject.toml"), "--cache-dir", str(house.parent / "cache")]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *settings, "-p", "bootsmith.tasks", "-p", "bootsmith.cache"],
        check=False, cwd=house.parent, env={**os.environ, "MYPYPATH": str(house.parent)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    return checked.stdout.splitlines()


def test_the_check_sees_an_error(complaints: list[str]) -> None:
    """A wrong type in any file of the house fails the check, also across rooms."""
    assert any("tasks/planted.py:3: error: Incompatible types in assignment" in line for line in complaints)


def test_types_hold(complaints: list[str]) -> None:
    """mypy in its strict mode has nothing to say about the house."""
    assert [line for line in complaints if "planted.py" not in line and not line.startswith("Found 1 error")] == []
