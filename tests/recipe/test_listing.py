"""Recipes by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.recipe import listing

from tests.support.recipe_folder import SOURCE, RecipeFolder


def test_a_name_is_a_file_of_the_folder_and_a_path_is_itself(recipes: RecipeFolder) -> None:
    """`minimal` is recipes/minimal.yaml; what has a slash or an ending is taken as it is."""
    path = recipes.write("minimal", SOURCE)
    folder = Path("recipes")
    assert listing.find("minimal", folder) == folder / "minimal.yaml"
    assert listing.find("recipes/minimal.yaml", Path("elsewhere")) == folder / "minimal.yaml"
    assert listing.find(str(path), Path("elsewhere")) == path


def test_an_unknown_recipe_is_refused_with_the_nearest(recipes: RecipeFolder) -> None:
    """A misspelt name gets the right one, another one the list, a path its own answer."""
    for name in ("minimal", "grub"):
        recipes.write(name, SOURCE)
    found = []
    for name in ("minmal", "zzz", "recipes/zzz.yaml"):
        with pytest.raises(UsageError) as caught:
            listing.find(name, Path("recipes"))
        found.append((caught.value.message, caught.value.hint))
    assert found == [
        ("there is no recipe 'minmal' in recipes", "Did you mean minimal?"),
        ("there is no recipe 'zzz' in recipes", "Known here: grub, minimal"),
        ("recipes/zzz.yaml: there is no such recipe", "Give the path of a YAML file."),
    ]


def test_the_names_of_a_folder_are_sorted_and_may_be_none(recipes: RecipeFolder) -> None:
    """Only recipes count; a folder that is not there has none."""
    for name in ("b", "a", ".hidden.yaml", "notes.txt"):
        recipes.write(name, SOURCE)
    assert listing.names(Path("recipes")) == ["a", "b"]
    assert listing.names(Path("nowhere")) == []


def test_a_broken_recipe_does_not_hide_the_others(recipes: RecipeFolder) -> None:
    """Each recipe has its line: what it is, which variables it waits for, or what is wrong with it."""
    recipes.write("bad", "dsk: 1\n")
    recipes.write("good", SOURCE + "description: Debian ${suite}\n")
    recipes.write("open", SOURCE + "description: a server\nvars: {server: {help: the server}, port: 5}\n")
    recipes.write("ugly", "a: [\n")
    assert listing.summaries(Path("recipes")) == [
        ("bad", "broken: recipes/bad.yaml:1:1: dsk: unknown key; did you mean disk? (and 1 more)"),
        ("good", "Debian trixie"),
        ("open", "a server server=..."),
        ("ugly", "broken: recipes/ugly.yaml:2:1: a bracket is never closed; close every [ and {"),
    ]
