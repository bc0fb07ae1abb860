"""Keeping a recipe's lock file up to date: made where it is missing, made again where it no longer fits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.errors import Unwritable
from bootsmith.cache.files import temporary
from bootsmith.tasks.errors import RecipeError, StageError
from bootsmith.tasks.packages import debs, downloads, lists, mirrors, request, resolution
from bootsmith.tasks.packages.lockfile import Change, LockFile, Package, changes, read, write
from bootsmith.tasks.recipe.model.source import Debian
from bootsmith.tasks.recipe.values.files import packaged

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.packages.mirrors import Mirrors
    from bootsmith.tasks.recipe.model.recipe import Recipe


LOCKED: Final = "BOOTSMITH_LOCKED"
"""The variable by which lock files are only read, such as in continuous integration."""


def ensure(recipe: Recipe, path: Path, store: Store, say: Callable[[str], None], *, locked: bool = False) -> LockFile:
    """Return the recipe's lock, resolved first where there is none or it does not fit the recipe any more.

    Where it is `locked` it is only read. Raises RecipeError for packages and suites that are not there, StageError for
    what the user can mend otherwise.
    """
    old = None
    if path.exists():
        old = read(path)
        reason = request.stale(old, recipe)
        if reason is None:
            return old
        _refuse_locked(f"{path.name} no longer fits the recipe ({reason})", locked=locked)
        say(f"{path.name}: no longer fits the recipe ({reason}): resolving again")
    else:
        _refuse_locked(f"there is no {path.name}", locked=locked)
        say(f"{path.name}: resolving the packages of {recipe.name}")
    return _renew(recipe, path, old, store, say, keeps=old is not None and request.begins_alike(old, recipe))


def update(
    recipe: Recipe,
    path: Path,
    store: Store,
    say: Callable[[str], None],
    only: Sequence[str] = (),
    *,
    locked: bool = False,
) -> list[Change]:
    """Resolve a recipe's packages again and write them down; return what changed.

    Of `only` some packages those are brought to their newest versions, with what these need, and all else stays.
    """
    _refuse_locked(f"{path.name} is not to change", locked=locked)
    try:
        old = read(path) if path.exists() else None
    except StageError:
        old = None  # an update is the way out of a damaged one
    if only and old is None:
        raise StageError(f"there is no {path.name} that fits yet", "Resolve all of it first: `doit update`.")
    if only and old is not None and (reason := request.stale(old, recipe)):
        raise StageError(f"{path.name} no longer fits the recipe ({reason})", "Resolve all of it first: `doit update`.")
    new = _renew(recipe, path, old, store, say, only=only)
    return changes(old, new)


def _refuse_locked(what: str, *, locked: bool) -> None:
    """Refuse to resolve where lock files are only read. Raises StageError."""
    said = os.environ.get(LOCKED, "no")
    if said not in ("yes", "no"):
        raise StageError(f"{LOCKED}={said!r} is not a choice", "Let it be yes or no.")
    if locked or said == "yes":
        raise StageError(
            f"{what}, and {'--locked' if locked else f'{LOCKED}=yes'} lets nothing be resolved",
            "Resolve where that may be done (`doit update`, or any build), and commit the lock file.",
        )


def _renew(
    recipe: Recipe,
    path: Path,
    old: LockFile | None,
    store: Store,
    say: Callable[[str], None],
    *,
    keeps: bool = False,
    only: Sequence[str] = (),
) -> LockFile:
    """Resolve and write down; with `keeps` only the layers of packages, on top of what the old lock begins with.

    Of `only` some packages, no others.
    """

    def control(package: Package) -> bytes:
        deb = downloads.fetch([package.download], store, lambda: found, say)[package.sha256]
        told = debs.control(deb)
        if told is None:
            raise StageError(f"{package.name} {package.version}: it is packed by zstd", "Run `doit update`.")
        return told

    try:
        found = mirrors.find(*request.mirrors(recipe), ubuntu=request.of_ubuntu(recipe))
        with _lists_folder(store) as folder:
            if old is not None and only:
                new = resolution.resolve_packages(recipe, old, only, found, folder, say, control)
                _check_there(recipe, new, store, found)
            elif old is not None and keeps:
                new = _with_layers(recipe, old, store, folder, found, say, control)
            else:
                new = resolution.resolve(recipe, found, folder, say, control)
                _check_there(recipe, new, store, found)
    except StageError as error:
        raise _without(recipe, error) from error
    if old is not None and dataclasses.replace(new, date=old.date) == old:
        new = old  # a later release with the same packages: nothing changes, time stamps neither
    write(path, new)
    return new


@contextmanager
def _lists_folder(store: Store) -> Iterator[Path]:
    """Yield the folder that keeps package lists: the store's, or where that is only read one for this once."""
    try:
        store.drafts()
    except Unwritable:
        with temporary.folder() as folder:
            yield Path(folder)
    else:
        yield store.root


def _with_layers(  # noqa: PLR0917  as _renew
    recipe: Recipe,
    old: LockFile,
    store: Store,
    folder: Path,
    found: Mirrors,
    say: Callable[[str], None],
    control: Callable[[Package], bytes],
) -> LockFile:
    """Resolve layers by the package lists that the rest was resolved by; by newer ones where that does not do."""
    try:
        new = resolution.resolve_layers(recipe, old, found, folder, say, control, refresh=False)
        _check_there(recipe, new, store, found, all_roles=True)
    except (RecipeError, StageError):
        new = resolution.resolve_layers(recipe, old, found, folder, say, control, refresh=True)
        _check_there(recipe, new, store, found)
    return new


def _check_there(recipe: Recipe, lock: LockFile, store: Store, found: Mirrors, *, all_roles: bool = False) -> None:
    """Refuse a lock that names what no mirror has, though their lists do: of a release past its time, that happens.

    Looked for is what comes beside the release itself, which stays as it is while its lists do. Raises StageError.
    """
    packages = [*lock.of_tree, *(package for each in lock.files.values() for package in each)]
    roles = (mirrors.SECURITY, mirrors.UPDATES)
    added = [package.download for package in packages if all_roles or package.role in roles]
    if gone := downloads.gone(list(dict.fromkeys(added)), store, found):
        names = ", ".join(package.title for package in gone)
        places = ", ".join(dict.fromkeys(uri for package in gone for uri in found.uris[package.role]))
        of_security = any(package.role == mirrors.SECURITY for package in gone)
        source = recipe.source if of_security and isinstance(recipe.source, Debian) else None
        raise StageError(
            f"{names}: in the package lists of {places}, and not there: it is amid an update, or drops the release",
            f"Try again later. {lists.without(source)}",
        )


def _without(recipe: Recipe, error: StageError) -> StageError:
    """Return why packages cannot be had, with what was looked for before a file was to come out of one."""
    for file in packaged(recipe):
        if file.instead_of:
            missing = ", ".join(str(path) for path in file.instead_of)
            what = f"{missing}: not there; and {file.path} of the package {file.package} cannot be had: {error.message}"
            return StageError(what, f"{error.hint} Or create one of these files.")
    return error
