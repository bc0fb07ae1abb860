"""What other recipes must be that one takes of: for the same machine, and makers of what is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from bootsmith.tasks.recipe import other_recipes
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import OtherRecipe
from bootsmith.tasks.recipe.model.tree_outputs import DirectoryOutput
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath, suggest


def _source(recipe: Recipe) -> Iterable[Finding]:
    source = recipe.source
    other = recipe.others.get(source.file) if isinstance(source, OtherRecipe) else None
    if other and other.arch != recipe.arch:
        yield ("source", "recipe"), f"{other.name} is for {other.arch}, and this recipe for {recipe.arch}; write arch:"


def _outputs(recipe: Recipe) -> Iterable[Finding]:
    for key, taken in other_recipes.outputs(recipe):
        other = recipe.others.get(taken.recipe)
        if other is None:
            continue  # told where it was read
        kept = [each.kind for each in other.outputs]
        if taken.output not in kept:
            yield key, f"{other.name} has no output {taken.output!r}; {suggest(taken.output, [*dict.fromkeys(kept)])}"
        elif isinstance(other_recipes.output(other, taken.output), DirectoryOutput):
            yield key, f"the output directory of {other.name} is no file; take its tar"


def _names(recipe: Recipe) -> Iterable[Finding]:
    seen: dict[str, Path] = {}
    keys = {file: key for key, file in reversed([*other_recipes.named(recipe)])}
    for file, other in recipe.others.items():
        key = keys[file]
        if seen.setdefault(other.name, file) != file:
            yield key, f"two recipes that this takes of are called {other.name}; give one another name:"


RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("source",), ("arch",)), _source),
    (tuple((section,) for section in ("layers", "system", "boot", "outputs", "disk")), _outputs),
    (tuple((section,) for section in ("source", "layers", "system", "boot", "outputs", "disk")), _names),
)
