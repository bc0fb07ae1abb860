"""A Recipe as YAML again: every default, parent and variable filled in, secrets by reference only."""

from __future__ import annotations

from bootsmith.tasks.recipe.keys.all import RECIPE
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.writing import block


def show(recipe: Recipe) -> str:
    """Return the recipe in full, as YAML that loads back to an equal one from the same folder."""
    raw = RECIPE.write(recipe)
    head = f"# {recipe.name}" + (f", profile {recipe.profile}" if recipe.profile else "") + ", in full\n"
    return head + "\n".join(block(raw, recipe.file.parent, 0)) + "\n"
