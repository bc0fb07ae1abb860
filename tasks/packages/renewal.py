"""Keeping a recipe's lock file up to date: made where it is missing, made again where it no longer fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import mirrors, request, resolution
from bootsmith.tasks.packages.lockfile import LockFile, changes, read, write
from bootsmith.tasks.recipe.values.files import packaged

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.recipe.model import Recipe


def ensure(recipe: Recipe, path: Path, store: Store, say: Callable[[str], None]) -> LockFile:
    """Return the recipe's lock, resolved first where there is none or it does not fit the recipe any more.

    Raises RecipeError for packages and suites that are not there, StageError for what the user can mend otherwise.
    """
    old = None
    if path.exists():
        old = read(path)
        reason = request.stale(old, recipe)
        if reason is None:
            return old
        say(f"{path.name}: no longer fits the recipe ({reason}): resolving again")
    else:
        say(f"{path.name}: resolving the packages of {recipe.name}")
    return _renew(recipe, path, old, store, say)


def update(recipe: Recipe, path: Path, store: Store, say: Callable[[str], None]) -> list[str]:
    """Resolve a recipe's packages again and write them down; return what changed, a line each."""
    try:
        old = read(path) if path.exists() else None
    except StageError:
        old = None  # an update is the way out of a damaged one
    new = _renew(recipe, path, old, store, say)
    return changes(old, new)


def _renew(recipe: Recipe, path: Path, old: LockFile | None, store: Store, say: Callable[[str], None]) -> LockFile:
    try:
        new = resolution.resolve(recipe, mirrors.find(*request.mirrors(recipe)), store.root, say)
    except StageError as error:
        raise _without(recipe, error) from error
    if old is not None and (old.request, old.packages, old.files) == (new.request, new.packages, new.files):
        new = old  # a later release with the same packages: nothing changes, time stamps neither
    write(path, new)
    return new


def _without(recipe: Recipe, error: StageError) -> StageError:
    """Return why packages cannot be had, with what was looked for before a file was to come out of one."""
    for file in packaged(recipe):
        if file.instead_of:
            missing = ", ".join(str(path) for path in file.instead_of)
            what = f"{missing}: not there; and {file.path} of the package {file.package} cannot be had: {error.message}"
            return StageError(what, f"{error.hint} Or create one of these files.")
    return error
