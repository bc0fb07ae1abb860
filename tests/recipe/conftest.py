"""What the tests of recipes share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recipe_folder import RecipeFolder


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecipeFolder:
    """A folder for recipes, with the shell in it."""
    monkeypatch.chdir(tmp_path)
    return RecipeFolder(tmp_path)


@pytest.fixture
def with_files(recipes: RecipeFolder) -> RecipeFolder:
    """A recipes with the files that some recipes name."""
    recipes.write("files/issue.txt", "hello\n")
    recipes.write("id.key", "-----BEGIN OPENSSH PRIVATE KEY-----\n")
    return recipes
