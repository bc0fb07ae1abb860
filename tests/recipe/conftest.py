"""What the tests of recipes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipe_folder import Kitchen


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kitchen:
    """A folder for recipes, with the shell in it."""
    monkeypatch.chdir(tmp_path)
    return Kitchen(tmp_path)


@pytest.fixture
def stocked(kitchen: Kitchen) -> Kitchen:
    """A kitchen with the files that some recipes name."""
    kitchen.write("files/issue.txt", "hello\n")
    kitchen.write("id.key", "-----BEGIN OPENSSH PRIVATE KEY-----\n")
    return kitchen
