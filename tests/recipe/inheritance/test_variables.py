"""Variables in recipes."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError

from tests.support.recipe_folder import SOURCE, RecipeFolder


def test_variables_stand_for_their_values_anywhere(recipes: RecipeFolder) -> None:
    """A variable may be the whole of a value or a part of it, of any kind, and may use others."""
    recipe = recipes.load(
        SOURCE + "vars: {size: 8G, host: 'db-${n}', n: 1, on: true}\nsystem: {hostname: '${host}.example'}\n"
        "disk: {size: '${size}'}\nboot: {packages: '${on}', timeout: '${n}'}\n"
        "layers: [{files: {/a: {content: '${n}${n} $$ $${n} $(x) $'}}}]\n"
    )
    assert (recipe.system.hostname, recipe.disk.size, recipe.boot.timeout) == ("db-1.example", 8 << 30, 1)
    assert recipe.layers[0].files["/a"].content == "11 $ ${n} $(x) $"  # type: ignore[union-attr]


def test_the_command_line_gives_variables(recipes: RecipeFolder) -> None:
    """What is given stands in place of the default; an empty value is empty."""
    text = SOURCE + "vars: {level: {default: info, help: how much, choices: [info, debug]}, extra: x}\n"
    recipe = recipes.load(text + "test: {run: ['${level}${extra}']}\n", {"level": "debug", "extra": ""})
    assert recipe.test.run == ("debug",)


def test_every_recipe_has_some(recipes: RecipeFolder) -> None:
    """name, version, arch and suite are always there."""
    text = SOURCE + "version: '2'\ntest: {run: ['${name} ${version} ${arch} ${suite}']}\n"
    assert recipes.load(text).test.run == ("x 2 amd64 trixie",)
    assert recipes.load(text + "name: y-${version}\n").test.run == ("y-2 2 amd64 trixie",)


def test_a_null_variable_is_null(recipes: RecipeFolder) -> None:
    """A value that is a null variable is back to its default."""
    recipe = recipes.load(SOURCE + "vars: {size: null}\ndisk: {size: '${size}'}\n")
    assert recipe.disk.size == "auto"
    assert recipes.load(SOURCE + "vars: {size: 8G}\ndisk: {size: '${size}'}\n", {"size": "null"}).disk.size == "auto"


def test_a_path_starts_from_where_its_variable_is_given(recipes: RecipeFolder) -> None:
    """A path on the command line is the shell's, one by default is the recipe's."""
    (recipes.folder / "here").mkdir()
    recipes.write("there/a.txt", "")
    text = SOURCE + "vars: {dir: there}\nlayers: [overlay: '${dir}']\n"
    assert recipes.load(text).layers[0].source == recipes.folder / "recipes/there"  # type: ignore[union-attr]
    recipe = recipes.load(text, {"dir": "here"})
    assert recipe.layers[0].source == recipes.folder / "here"  # type: ignore[union-attr]
    recipe = recipes.load(text.replace("'${dir}'", "'${dir}/../here'"), {"dir": "here"})
    assert recipe.layers[0].source.samefile(recipes.folder / "here")  # type: ignore[union-attr]


def test_children_change_their_parents_variables(recipes: RecipeFolder) -> None:
    """A child's plain default keeps the help and the choices its parent wrote."""
    recipes.write("base", SOURCE + "vars: {v: {help: which, choices: [a, b]}}\nseed: ${v}\n")
    assert recipes.load("extends: base\nvars: {v: a}\n").seed == "a"
    with pytest.raises(RecipeError, match=r"recipes/x\.yaml:2:11: vars\.v: 'c' is not a choice of v; known here: a, b"):
        recipes.load("extends: base\nvars: {v: c}\n")


def test_missing_variables_show_their_help_and_nothing_follows(recipes: RecipeFolder) -> None:
    """Each variable that must be given is told once, however often it is used."""
    text = SOURCE + "vars: {a: {help: the server}, b: {}}\ndisk: {size: '${a}'}\nseed: '${a}${b}'\nname: '${b}'\n"
    with pytest.raises(RecipeError) as caught:
        recipes.load(text)
    assert caught.value.problems == [
        "recipes/x.yaml:2:8: vars.a: this variable must be given (the server); add a=VALUE to the command",
        "recipes/x.yaml:2:31: vars.b: this variable must be given; add b=VALUE to the command",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "layers: [overlay: '${nope}', overlay: '${nope}/x']\n",
        "system: {users: {root: {password: {file: '${nope}'}}}}\ntest: {run: ['${nope}']}\n",
        "vars: {a: '${nope}', b: '${a}'}\ndisk: {size: '${b}'}\n",
    ],
)
def test_an_unknown_variable_is_all_that_is_told(recipes: RecipeFolder, text: str) -> None:
    """Nothing is said about a value that holds an unknown variable but that."""
    with pytest.raises(RecipeError) as caught:
        recipes.load(SOURCE + text)
    assert len(caught.value.problems) == (1 if text.startswith("vars") else 2)
    assert all("there is no variable 'nope'" in line for line in caught.value.problems)


def test_a_given_value_is_checked_where_it_is_used(recipes: RecipeFolder) -> None:
    """What is wrong with a variable's value is told at the key that cannot take it."""
    with pytest.raises(RecipeError) as caught:
        recipes.load(SOURCE + "vars: {size: 8G}\ndisk: {size: '${size}'}\n", {"size": "64"})
    assert caught.value.problems == ["recipes/x.yaml:3:14: disk.size: 64 has no unit; did you mean 64G?"]
