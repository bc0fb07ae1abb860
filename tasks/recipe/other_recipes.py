"""The other recipes that one takes of: where it names them, and their outputs by format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.recipe.model.files import RecipeOutput
from bootsmith.tasks.recipe.model.source import OtherRecipe
from bootsmith.tasks.recipe.values.files import located

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.outputs import OutputSpec
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.text.problems import KeyPath

_SECTIONS: Final = ("layers", "system", "boot", "outputs", "disk")


def named(recipe: Recipe) -> Iterator[tuple[KeyPath, Path]]:
    """Yield each key that names another recipe, and that recipe's file."""
    if isinstance(recipe.source, OtherRecipe):
        yield ("source", "recipe"), recipe.source.file
    for key, each in outputs(recipe):
        yield key, each.recipe


def outputs(recipe: Recipe) -> Iterator[tuple[KeyPath, RecipeOutput]]:
    """Yield each key that takes an output of another recipe."""
    for section in _SECTIONS:
        yield from located(getattr(recipe, section), RecipeOutput, (section,))


def output(other: Recipe, kind: str) -> OutputSpec:
    """Return the first output of a format that a recipe has; it must have one."""
    return next(each for each in other.outputs if each.kind == kind)
