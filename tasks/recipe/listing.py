"""The recipes in a folder, by name."""

from __future__ import annotations

from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.recipe.text.problems import suggest


def names(folder: Path) -> list[str]:
    """Return the names of the recipes in `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml") if not path.name.startswith("."))


def find(name_or_path: str, folder: Path) -> Path:
    """Return the file of a recipe: NAME is `folder`/NAME.yaml, a PATH is itself. Raises UsageError with near names."""
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        if not path.is_file():
            raise UsageError(f"{shown(path)}: there is no such recipe", "Give the path of a YAML file.")
        return path
    path = folder / f"{name_or_path}.yaml"
    if not path.is_file():
        hint = suggest(name_or_path, names(folder))
        raise UsageError(f"there is no recipe {name_or_path!r} in {shown(folder)}", hint[:1].upper() + hint[1:])
    return path


def summaries(folder: Path) -> list[tuple[str, str]]:
    """Return each recipe's name and description; a broken one's begins with "broken: "."""
    return [(name, _summary(folder / f"{name}.yaml")) for name in names(folder)]


def _summary(path: Path) -> str:
    from bootsmith.tasks.recipe.load import examine  # names alone need no YAML

    recipe, problems = examine(path)
    if recipe is not None and problems.only_missing:
        return recipe.description + "".join(f" {name}=..." for name in problems.missing)
    lines = problems.lines()
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return f"broken: {lines[0]}{more}"
