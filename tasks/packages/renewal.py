"""Keeping a recipe's lock file up to date: made where it is missing, made again where it no longer fits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.cache.errors import Unwritable
from bootsmith.cache.files import temporary
from bootsmith.tasks.build.plan import BEGINNING
from bootsmith.tasks.errors import RecipeError, StageError
from bootsmith.tasks.packages import debs, downloads, lists, mirrors, request, resolution, tree_lock, tree_status
from bootsmith.tasks.packages.arch import resolution as arch
from bootsmith.tasks.packages.fedora import resolution as fedora
from bootsmith.tasks.packages.lockfile import Change, LockFile, Package, changes, read, write
from bootsmith.tasks.packages.mirrors import Mirrors
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.source import Arch, Debian, Fedora
from bootsmith.tasks.recipe.values.files import packaged

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.packages.tree_status import TreeStatus
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


def settle(
    recipe: Recipe, path: Path, status: Path, store: Store, say: Callable[[str], None], *, locked: bool = False
) -> None:
    """Have the lock fit the tree whose `status` is in that file, for packages on top: resolved where it does not.

    Raises RecipeError for a tree that none can be put on, and as `ensure`.
    """
    tree = _status(recipe, status)
    names = [each.name for each in request.layers_on_tree(recipe)]
    old = read(path) if path.exists() else None
    if old is None:
        _refuse_locked(f"there is no {path.name}", locked=locked)
        say(f"{path.name}: resolving the packages of {recipe.name}")
    else:
        reason = tree_lock.stale(old, request.on_tree(recipe), _digest(recipe, tree), names)
        if reason is None:
            return
        _refuse_locked(f"{path.name} no longer fits ({reason})", locked=locked)
        say(f"{path.name}: no longer fits ({reason}): resolving again")
    _renew_on_tree(recipe, path, old, tree, store, say)


def update_on_tree(  # noqa: PLR0917  as update, and settle
    recipe: Recipe,
    path: Path,
    status: Path,
    store: Store,
    say: Callable[[str], None],
    only: Sequence[str] = (),
    *,
    locked: bool = False,
) -> list[Change]:
    """Resolve the packages on top of a tree again and write them down; return what changed. `only` is as for update."""
    tree = _status(recipe, status)
    _refuse_locked(f"{path.name} is not to change", locked=locked)
    try:
        old = read(path) if path.exists() else None
    except StageError:
        old = None
    if only:
        names = [each.name for each in request.layers_on_tree(recipe)]
        fits = old and not tree_lock.stale(old, request.on_tree(recipe), _digest(recipe, tree), names)
        if not fits:
            raise StageError(f"there is no {path.name} that fits yet", "Resolve all of it first: `doit update`.")
    return changes(old, _renew_on_tree(recipe, path, old, tree, store, say, only=only, refresh=True))


def _status(recipe: Recipe, file: Path) -> TreeStatus:
    """Return what a tree has. Raises RecipeError where the recipe's packages cannot come on top of it."""
    status = tree_status.read(file)
    suite = recipe.archive.suite or status.suite
    if status.refusal:
        why = status.refusal
    elif status.distribution not in resolution.COMPONENTS:
        known = " and ".join(each.capitalize() for each in resolution.COMPONENTS)
        why = f"the tree is of {status.distribution or 'no distribution that it names'}; of {known} packages are known"
    elif status.arch != recipe.arch:
        why = f"the tree is for {status.arch}, and the recipe's arch is {recipe.arch}"
    elif not suite:
        why = "the tree's os-release names no release (VERSION_CODENAME), and archive.suite does not either"
    else:
        return status
    layer = next(iter(request.layers(recipe)), None)
    if tree_packages.adds_kernel(recipe):
        key, word, what = "boot.kernel", "install", "name a kernel: a PATH, or {package:, path:}"
    else:
        assert layer is not None, "else nothing comes on top"
        key, word, what = "layers.packages", [*layer.install, *layer.remove, "packages"][0], "leave the layer out"
    raise request.mistake(recipe, word, key, f"{why}; {what}, or write run: with the tree's own package manager")


def _digest(recipe: Recipe, tree: TreeStatus) -> str:
    return tree_status.digest(tree, kernel=tree_packages.adds_kernel(recipe))


def _renew_on_tree(  # noqa: PLR0917  as update_on_tree
    recipe: Recipe,
    path: Path,
    old: LockFile | None,
    tree: TreeStatus,
    store: Store,
    say: Callable[[str], None],
    *,
    only: Sequence[str] = (),
    refresh: bool = False,
) -> LockFile:
    """Resolve what comes on top of a tree, and write it down: the rest of the lock stays, and so does its date."""
    begins = request.request(recipe)
    rest = old if old is not None and begins else LockFile({}, BEGINNING)
    digest = _digest(recipe, tree)
    asked = request.on_tree(recipe)
    alike = (
        old is not None
        and old.request.get("tree") == digest
        and tree_lock.but_layers(old.request) == tree_lock.but_layers(asked)
    )
    archive = recipe.archive
    found = mirrors.find(
        archive.mirror,
        [each.uri for each in archive.repositories],
        key=request.ARCHIVE,
        distribution=tree.distribution,
    )
    control = _control(store, found, say)

    def resolved(folder: Path, kept: LockFile | None, *, newest: bool) -> LockFile:
        if only and old is not None:
            new = resolution.resolve_packages(recipe, old, only, found, folder, say, control, tree)
        else:
            said, added = resolution.resolve_on_tree(
                recipe,
                tree,
                kept,
                found,
                folder,
                say,
                control,
                refresh=newest,
            )
            facts = {key: value for key, value in rest.request.items() if key in begins}
            new = LockFile(facts | said | {"tree": digest}, rest.date, (), rest.files, added)
        # files have been looked for where they are from, which may be another distribution's
        _check_there(recipe, dataclasses.replace(new, files={}), store, found, all_roles=not newest)
        return new

    with _lists_folder(store) as folder:
        ways = [(old, False), (old, True)] if alike else [] if old is None else [(None, False)]
        for kept, newest in ways if not refresh else ():
            with suppress(RecipeError, StageError):
                new = resolved(folder, kept, newest=newest)
                break
        else:
            new = resolved(folder, None, newest=True)
    write(path, new)
    return new


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
    try:
        found = _mirrors(recipe)
        control = _control(store, found, say)
        with _lists_folder(store) as folder:
            if isinstance(recipe.source, Arch | Fedora):
                new = _of_others(recipe, recipe.source, store, folder, say, only)
            elif old is not None and only:
                new = resolution.resolve_packages(recipe, old, only, found, folder, say, control)
                _check_there(recipe, new, store, found)
            elif old is not None and keeps:
                new = _with_layers(recipe, old, store, folder, found, say, control)
            else:
                new = resolution.resolve(recipe, found, folder, say, control)
                _check_there(recipe, new, store, found)
    except StageError as error:
        raise _without(recipe, error) from error
    if old is not None and tree_packages.wanted(recipe) and "tree" in old.request:  # it has that tree's packages too
        said = {key: value for key, value in old.request.items() if tree_lock.is_on_tree(key)}
        new = dataclasses.replace(new, request={**new.request, **said}, layers=old.layers)
    if old is not None and dataclasses.replace(new, date=old.date) == old:
        new = old  # a later release with the same packages: nothing changes, time stamps neither
    write(path, new)
    return new


def _of_others(  # noqa: PLR0917  as _renew
    recipe: Recipe, source: Arch | Fedora, store: Store, folder: Path, say: Callable[[str], None], only: Sequence[str]
) -> LockFile:
    """Resolve a tree that is not Debian's, and the Debian packages that single files are taken out of."""
    if only:
        name = "Arch" if isinstance(source, Arch) else "Fedora"
        raise StageError(
            f"of {name}'s packages none can be brought up to date by itself", "Resolve all of them: `doit update`."
        )
    if isinstance(source, Arch):
        tree = arch.resolve(recipe, source, store, say)
    else:
        tree = fedora.resolve(recipe, source, store, say)
    if not any(packaged(recipe)):
        return tree
    found = mirrors.find(None)
    of_files = resolution.resolve(recipe, found, folder, say)
    _check_there(recipe, of_files, store, found)
    return dataclasses.replace(tree, date=max(tree.date, of_files.date), files=of_files.files)


def _mirrors(recipe: Recipe) -> Mirrors:
    if isinstance(recipe.source, Arch | Fedora):
        return Mirrors({})
    section, distribution = request.section(recipe), request.distribution(recipe)
    return mirrors.find(*request.mirrors(recipe), key=section, distribution=distribution)


def _control(store: Store, found: Mirrors, say: Callable[[str], None]) -> Callable[[Package], bytes]:
    """Return what gives the control file of a package, fetched where it is missing."""

    def control(package: Package) -> bytes:
        deb = downloads.fetch([package.download], store, lambda: found, say)[package.sha256]
        told = debs.control(deb)
        if told is None:
            raise StageError(f"{package.name} {package.version}: it is packed by zstd", "Run `doit update`.")
        return told

    return control


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
        key = request.ARCHIVE if tree_packages.wanted(recipe) else request.section(recipe)
        of_security = any(package.role == mirrors.SECURITY for package in gone)
        source = recipe.source if of_security and isinstance(recipe.source, Debian) else None
        raise StageError(
            f"{names}: in the package lists of {places}, and not there: it is amid an update, or drops the release",
            f"Try again later. {lists.without(source, key)}",
        )


def _without(recipe: Recipe, error: StageError) -> StageError:
    """Return why packages cannot be had, with what was looked for before a file was to come out of one."""
    for file in packaged(recipe):
        if file.instead_of:
            missing = ", ".join(str(path) for path in file.instead_of)
            what = f"{missing}: not there; and {file.path} of the package {file.package} cannot be had: {error.message}"
            return StageError(what, f"{error.hint} Or create one of these files.")
    return error
