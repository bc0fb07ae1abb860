"""A folder to write recipes in, and to load them from as a user in it would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model import Recipe

SOURCE = "source: {debian: {suite: trixie}}\n"
"""The least a recipe must say; it takes the first line of most recipes here."""


class Kitchen:
    """Recipes live in `recipes/` below `folder`, which is the current directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "recipes").mkdir()

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file below `recipes/`, and return its path; a name without a dot is a recipe's."""
        path = self.folder / "recipes" / (name if "." in name else f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def cook(self, text: str, words: Mapping[str, str] | None = None, profile: str | None = None) -> Recipe:
        """Write the recipe `x` and load it as `recipes/x.yaml`, with words of the command line."""
        self.write("x", text)
        return load(Path("recipes/x.yaml"), overrides=words or {}, profile=profile)
