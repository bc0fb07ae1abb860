"""Recipes that take of others: their trees, their outputs; and what is wrong with that."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.files import RecipeOutput
from bootsmith.tasks.recipe.model.source import OtherRecipe
from bootsmith.tasks.recipe.show import show

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

OF = "source: {recipe: base}\nboot: {kernel: none}\nsystem: none\noutputs: [tar]\n"
FILE = SOURCE + "layers: [files: {/a: {from: {recipe: base, output: tgz}}}]\n"
BASE = "source: {debian: {suite: bookworm}}\nboot: {kernel: none}\noutputs: [tgz, directory, tgz: {file: b}]\n"
BAD = [
    (OF.replace("base", "bose"), [
        "1:18: source.recipe.file: there is no recipe 'bose' in recipes; did you mean base?"
    ]),
    (OF.replace("base", "./other.yaml"), [
        "1:18: source.recipe.file: recipes/other.yaml does not exist; did you mean base.yaml?"
    ]),
    (OF + "arch: i386\n", ["1:18: source.recipe: base is for amd64, and this recipe for i386; write arch:"]),
    (FILE.replace("tgz", "tar"), [
        "2:23: layers.files./a.from: base has no output 'tar'; known here: tgz, directory"
    ]),
    (FILE.replace("tgz", "directory"), [
        "2:23: layers.files./a.from: the output directory of base is no file; take its tar"
    ]),
    (OF.replace("base", "x"), [
        "1:18: source.recipe: recipes in a circle: recipes/x.yaml takes of recipes/x.yaml; take one of these out"
    ]),
]  # fmt: skip


@each_of(BAD)
def test_mistakes(recipes: RecipeFolder, text: str, lines: list[str]) -> None:
    """Each is told with its place, and what to do."""
    recipes.write("base", BASE)
    assert recipes.mistakes(text) == lines


def test_what_is_taken_is_read_as_it_is_by_itself(recipes: RecipeFolder) -> None:
    """With all its files, and no package of it is the taker's; `show` writes what reads back equal."""
    base = recipes.write("base", BASE + "layers: [files: {/k: {from: {package: kk, path: /k}}}]\nversion: 7\n")
    recipe = recipes.load(FILE.replace(SOURCE, "source: {recipe: base}\n") + "boot: {loader: direct}\n")
    here = recipes.folder / "recipes/base.yaml"
    assert recipe.source == OtherRecipe(here)
    assert recipe.layers[0].files["/a"].source == RecipeOutput(here, "tgz")  # type: ignore[union-attr]
    assert (recipe.others[here].version, recipe.others[here]) == ("7", load(base))
    assert here in recipe.files
    again = load(recipes.write("again", show(recipe)))
    assert (again.source, again.layers) == (recipe.source, recipe.layers)
    from bootsmith.tasks.packages import request

    assert not request.needed(recipe)
    assert request.needed(recipe.others[here])


def test_circles_and_others_mistakes_are_told_where_they_are(recipes: RecipeFolder) -> None:
    """Of two recipes that take of each other, and of one that is wrong itself."""
    recipes.write("base", OF.replace("base", "x"))
    with pytest.raises(RecipeError) as caught:
        recipes.load(OF)
    circle, mended = caught.value.problems
    line = "recipes/x.yaml takes of recipes/base.yaml takes of recipes/x.yaml"
    assert circle == f"recipes/base.yaml:1:18: source.recipe: recipes in a circle: {line}; take one of these out"
    assert mended == "recipes/x.yaml:1:18: source.recipe: it has mistakes; mend recipes/base.yaml first"
    recipes.write("base", BASE + "dsik: 1\n")
    with pytest.raises(RecipeError) as caught:
        recipes.load(FILE)
    assert caught.value.problems[0].startswith("recipes/base.yaml:4:1: dsik: unknown key")


def test_two_of_one_name_would_be_in_one_place(recipes: RecipeFolder) -> None:
    """Each has a folder of its name below the taker's."""
    recipes.write("base", BASE)
    recipes.write("more/base", BASE)
    said = recipes.mistakes(FILE + "boot: {initrd: {recipe: more/base.yaml, output: tgz}}\n")
    assert said == ["3:8: boot.initrd: two recipes that this takes of are called base; give one another name:"]
    assert Path("recipes/more/base.yaml").exists()
