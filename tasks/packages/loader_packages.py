"""The packages that bring a recipe's bootloaders into its tree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.boot import registry
from bootsmith.tasks.recipe.loaders import own
from bootsmith.tasks.recipe.model.source import Debian

if TYPE_CHECKING:
    from bootsmith.tasks.boot.loader import Loader
    from bootsmith.tasks.recipe.loaders.own import OwnLoader
    from bootsmith.tasks.recipe.model.recipe import Recipe


def loader(name: str) -> Loader | OwnLoader:
    """Return what is known of a loader: ours by its module, one of a user's own by its file, which is not run."""
    return own.read(Path(name)) if own.is_own(name) else registry.load(name)


def packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages that the recipe's bootloaders need in the tree."""
    source = recipe.source
    if not recipe.boot.packages or not isinstance(source, Debian):
        return ()
    found = (package for name in recipe.boot.loader for package in loader(name).packages(source.suite))
    return tuple(dict.fromkeys(found))
