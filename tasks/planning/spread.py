"""A folder that holds the builds, as inputs of a stage: all that is in it, but for them.

A stage's input is a whole folder; one that holds what a build writes would change while it is built, be it a file of
it or a lock that follows from the tree. Its names are told one by one instead, with what no fingerprint of a single
file tells. Which these are is looked up at planning.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.recipe import tree_packages

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.recipe import Recipe


class Spread(NamedTuple):
    """By their paths from the folder's top: what is in it, the modes of files and of opened folders, links' targets."""

    paths: dict[str, Path]
    modes: dict[str, int]
    links: dict[str, str]


def holds(folder: Path, path: Path) -> bool:
    """Tell whether a path lies below a folder."""
    top, inner = os.path.realpath(folder), os.path.realpath(path)
    return inner.startswith(f"{top.rstrip('/')}/")


def written(recipe: Recipe, builds: Path) -> list[Path]:
    """Return what a build writes that may lie in the folder of its own Containerfile."""
    return [builds, *([recipe.file.with_suffix(".lock")] if tree_packages.wanted(recipe) else [])]


def spread(folder: Path, *apart: Path) -> Spread:
    """Return what is in a folder but for what is to be left `apart`. Raises StageError for what cannot be read."""
    top = os.path.realpath(folder)
    found = Spread({}, {}, {})
    steps = [os.path.relpath(os.path.realpath(each), top).split("/") for each in apart if holds(folder, each)]
    try:
        _look(found, folder, "", steps)
    except OSError as error:
        raise StageError(f"{shown(error.filename)} cannot be read: {error.strerror}", "Let it be readable.") from error
    return found


def _look(found: Spread, folder: Path, above: str, apart: Sequence[Sequence[str]]) -> None:
    """Add what is in a folder; `apart` are the steps to what is not, the folders on the way are opened."""
    for entry in os.scandir(folder):
        below = [steps[1:] for steps in apart if steps[0] == entry.name]
        inside = above + entry.name
        if not below:
            _add(found, entry, inside)
        elif all(below) and entry.is_dir(follow_symlinks=False):
            found.modes[inside] = stat.S_IMODE(entry.stat().st_mode)
            _look(found, folder / entry.name, f"{inside}/", below)


def _add(found: Spread, entry: os.DirEntry[str], inside: str) -> None:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        found.links[inside] = os.readlink(entry.path)  # noqa: PTH115  any bytes, as they are
    elif stat.S_ISREG(status.st_mode):
        found.paths[inside] = Path(entry.path)
        found.modes[inside] = stat.S_IMODE(status.st_mode)
    elif not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
        found.paths[inside] = Path(entry.path)
