"""Resolving: which of Fedora's packages a recipe comes to. What a lock names was fetched, and its signatures held."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bootsmith.cache.display import nearest
from bootsmith.cache.files import temporary
from bootsmith.tasks.errors import RecipeError, StageError
from bootsmith.tasks.packages import downloads
from bootsmith.tasks.packages.fedora import dnf, mirror, repodata
from bootsmith.tasks.packages.fedora.rpm_keys import RpmKeys
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.packages.mirrors import MAIN, UPDATES, Mirrors, extra
from bootsmith.tasks.packages.repository_files import RepositoryFiles
from bootsmith.tasks.packages.request import mistake, request

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.packages.fedora.dnf import Chosen
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.model.source import Fedora


def resolve(recipe: Recipe, source: Fedora, store: Store, say: Callable[[str], None]) -> LockFile:
    """Return the packages a recipe comes to today, all of them in the store. Raises RecipeError, StageError."""
    extras = [each.uri for each in source.repositories]
    found = mirror.find(source.mirror, source.release, extras, updates=source.updates)
    with temporary.folder() as work, contextlib.closing(RepositoryFiles(found.settings)) as files:
        say(f"reading the package lists of Fedora {source.release}")
        copies = _copies(recipe, source, found, files, work)
        say(f"resolving the packages of {recipe.name}")
        chosen = _chosen(recipe, source, work, copies)
        packages = tuple(
            Package(each.name, each.version, each.arch, each.role, each.asked, each.size, each.sha256, each.file)
            for each in chosen
        )
        there = downloads.fetch([package.download for package in packages], store, lambda: found, say)
        say("checking signatures")
        _check(source, work, [(package, there[package.sha256]) for package in packages])
    return LockFile(request(recipe), max(each.built for each in chosen), packages)


def _copies(recipe: Recipe, source: Fedora, found: Mirrors, files: RepositoryFiles, work: Path) -> dict[str, Path]:
    """Fetch what the repositories say of their packages; return where each is, by its role."""
    copies = {}
    for role, (uri,) in found.uris.items():
        data = files.read(f"{uri}/repodata/repomd.xml", repodata.LARGEST_REPOMD)
        if data is None and role in (MAIN, UPDATES):
            what = f"{uri} has no repodata/repomd.xml; name another release, or the mirror that has it"
            raise mistake(recipe, source.release, "source.fedora.release", what)
        if data is None:
            raise mistake(recipe, uri, "source.fedora.repositories", f"{uri} has no repodata/repomd.xml")
        copies[role] = work / "repositories" / role
        lists = repodata.read(data, uri)
        repodata.copy(lists, copies[role], partial(_list, files, uri), uri)
    return copies


def _list(files: RepositoryFiles, uri: str, href: str) -> bytes | None:
    return files.read(f"{uri}/{href}", repodata.LARGEST)


def _chosen(recipe: Recipe, source: Fedora, work: Path, copies: dict[str, Path]) -> list[Chosen]:
    """Return the packages that dnf would install, by name."""
    try:
        return dnf.resolve(work, source.release, copies, source.packages)
    except dnf.Unknown as error:
        problems: list[str] = []
        for name in error.names:
            near = nearest(name, error.known)
            todo = f"did you mean {near}?" if near else "add the repository that has it, or leave it out"
            what = f"Fedora {source.release} has no package {name}; {todo}"
            problems += mistake(recipe, name, "source.fedora.packages", what).problems
        raise RecipeError(problems) from error


def _check(source: Fedora, work: Path, packages: Sequence[tuple[Package, Path]]) -> None:
    """Refuse packages that are not signed by a key of their repository, or are others than its lists say.

    Nobody signs those. Raises StageError.
    """
    keys = {MAIN: source.keyring, UPDATES: source.keyring}
    keys |= {extra(number): each.key for number, each in enumerate(source.repositories, 1)}
    wrong: list[str] = []
    others: list[str] = []
    for role, keyring in keys.items():
        named = {path: package for package, path in packages if package.role == role}
        if named:
            judge = RpmKeys(work / f"keys-{role}", keyring)
            refused = judge.refused(list(named))
            wrong += [f"{named[path].name} {named[path].version}" for path in refused]
            signed = [path for path in named if path not in refused]
            listed = [f"{named[path].name} {named[path].version} {named[path].arch}" for path in signed]
            pairs = zip(listed, judge.titles(signed) if signed else [], strict=True)
            others += [f"{here} is {there}" for here, there in pairs if here != there]
    if wrong:
        raise StageError(
            f"not signed by a key of their repository: {', '.join(wrong)}",
            "Let source.fedora.keyring, or a repository's key, name the file of keys that this release is signed with.",
        )
    if others:
        raise StageError(
            f"packages are others than the lists of their repository say: {', '.join(others)}",
            "Take another mirror: this one's lists are wrong, or somebody would have you install what is outdated.",
        )
