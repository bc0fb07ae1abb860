"""A recipe in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.recipe.inheritance.variables import Variables
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.show import show
from bootsmith.tasks.recipe.text.nodes import Place, Text
from bootsmith.tasks.recipe.text.parse import parse_text
from bootsmith.tasks.recipe.text.problems import Problems
from bootsmith.tasks.recipe.text.writing import flow
from hypothesis import given
from hypothesis import strategies as some

from tests.support.recipe_folder import LARGE, SOURCE, RecipeFolder


def again(recipe: Recipe, folder: Path) -> Recipe:
    """Return what `show` says of a recipe, loaded from its own folder."""
    file = folder / "recipes/again.yaml"
    file.write_text(show(recipe))
    return replace(load(file), file=recipe.file, files=recipe.files, profile=recipe.profile)


@pytest.mark.parametrize("text", [SOURCE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("profile", [None, "debug"])
def test_what_is_shown_loads_back_equal(recipes: RecipeFolder, text: str, profile: str | None) -> None:
    """Every key, default and derived value stands in what `show` prints, and means the same there."""
    recipes.write_files()
    recipe = recipes.load(text if text != SOURCE else text + "extends: base\n", profile=profile)
    assert again(recipe, recipes.folder) == recipe
    assert recipe.machine.memory == (3 if profile else 1) << 30
    assert show(again(recipe, recipes.folder)).partition("\n")[2] == show(recipe).partition("\n")[2]


def test_secrets_are_shown_by_reference(recipes: RecipeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password never stands in what is shown, though its file and variable exist."""
    recipes.write("pw.txt", "hunter2")
    monkeypatch.setenv("PW", "hunter2")
    shown = show(recipes.load(SOURCE + "system: {users: {root: {password: {file: pw.txt}}, a: {password: {env: PW}}}}"))
    assert "hunter2" not in shown
    assert "{password: {file: pw.txt}" in shown
    assert "{password: {env: PW}" in shown


@given(some.text(max_size=30))
def test_any_text_is_shown_so_that_it_reads_back(text: str) -> None:
    """Whatever a value holds, quoting and escapes bring it back: colons, quotes, dollars, line ends, controls."""
    problems = Problems()
    place = Place("x", 1, 1, Path("/"))
    for line in (f"key: {flow(text, Path('/'))}\n", f"{{key: [{flow(text, Path('/'))}]}}\n"):
        table = parse_text(line, place, problems)
        assert not problems.lines()
        assert table is not None
        found = table.get("key")
        found = found if isinstance(found, Text) else found.items[0]  # type: ignore[union-attr]
        filled = Variables({}, {}, {}, problems).expand(found)
        assert isinstance(filled, Text)
        assert (filled.text, filled.null) == (text, False)
