"""Resolving: which of Arch's packages a recipe comes to. What a lock names was fetched, and its signatures held."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from bootsmith.cache.display import nearest
from bootsmith.cache.files import temporary
from bootsmith.tasks.errors import RecipeError, StageError, ToolMissing
from bootsmith.tasks.packages import downloads, signers
from bootsmith.tasks.packages.arch import databases, mirror
from bootsmith.tasks.packages.arch.pacman import Pacman, Unknown
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.packages.mirrors import Mirrors
from bootsmith.tasks.packages.repository_files import RepositoryFiles
from bootsmith.tasks.packages.request import mistake, request
from bootsmith.tasks.tools import host

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.packages.arch.databases import Listed
    from bootsmith.tasks.recipe.model.recipe import Recipe
    from bootsmith.tasks.recipe.model.source import Arch

BASE: Final = "base"
"""What every tree of Arch's has: the package that depends on all of a minimal system."""
_SIGNATURE: Final = 1 << 16
"""Bytes of a signature at most: those of Arch have less than a thousand."""
_UNSIGNED: Final = "Let source.arch.keyring name a newer file of Arch's keys, or update archlinux-keyring on this host."


def resolve(recipe: Recipe, source: Arch, store: Store, say: Callable[[str], None]) -> LockFile:
    """Return the packages a recipe comes to today, all of them in the store. Raises RecipeError, StageError."""
    keyring = _keyring(source)
    found = mirror.find(source.mirror, source.snapshot, source.repositories)
    names = list(dict.fromkeys([BASE, *source.packages]))
    with temporary.folder() as work, contextlib.closing(RepositoryFiles(found.settings)) as files:
        keys = work / "keys"
        signers.make(keys, keyring)
        say("reading the package lists of Arch")
        pacman = Pacman(work / "pacman", source.repositories)
        found = _databases(recipe, source, found, files, pacman.sync)
        _check(keys, [(pacman.sync / f"{name}.db", f"the database of Arch's {name}") for name in source.repositories])
        say(f"resolving the packages of {recipe.name}")
        listed = _chosen(recipe, source, pacman, names)
        packages = tuple(_package(each, asked=each.name in names) for each in listed)
        there = downloads.fetch([package.download for package in packages], store, lambda: found, say)
        say("checking signatures")
        signed = work / "signed"
        signed.mkdir()
        for each, signature in zip(listed, _signatures(listed, found, files), strict=True):
            (signed / each.file).symlink_to(there[each.sha256])
            (signed / f"{each.file}.sig").write_bytes(signature)
        called = {signed / each.file: f"{each.name} {each.version} of Arch's {each.repository}" for each in listed}
        _check(keys, list(called.items()))
    return LockFile(request(recipe), max(each.built for each in listed), packages)


def _package(each: Listed, *, asked: bool) -> Package:
    return Package(each.name, each.version, each.arch, each.repository, asked, each.size, each.sha256, each.file)


def _check(keys: Path, files: Sequence[tuple[Path, str]]) -> None:
    """Refuse files, each with what it is called, whose signatures beside them do not count. Raises StageError."""
    signed = {file: file.with_name(f"{file.name}.sig") for file, _ in files}
    refused = signers.refusals(keys, [(file, beside) for file, beside in signed.items() if beside.exists()])
    if wrong := [f"{name} is not to be trusted: {refused[file]}" for file, name in files if file in refused]:
        raise StageError("\n".join(wrong), _UNSIGNED)


def _keyring(source: Arch) -> Path:
    if source.keyring:
        return source.keyring
    try:
        return host.find("archlinux-keyring")
    except ToolMissing as error:
        hint = f"{error.hint} Or let source.arch.keyring name a file of them."
        raise ToolMissing("the keys that Arch signs its packages with are not on this host", hint) from error


def _databases(recipe: Recipe, source: Arch, found: Mirrors, files: RepositoryFiles, sync: Path) -> Mirrors:
    """Fetch the databases, all from one server, with their signatures where they are signed; return its mirrors."""
    absent, uris = "", dict[str, str]()
    for servers in zip(*found.uris.values(), strict=True):
        uris = dict(zip(found.uris, servers, strict=True))
        read = {name: files.read(f"{uri}/{name}.db", databases.LARGEST) for name, uri in uris.items()}
        absent = next((name for name, data in read.items() if data is None), "")
        if absent:
            continue
        for name, data in read.items():
            (sync / f"{name}.db").write_bytes(data or b"")
            if signature := files.read(f"{uris[name]}/{name}.db.sig", _SIGNATURE):
                (sync / f"{name}.db.sig").write_bytes(signature)
        return Mirrors({name: (uri,) for name, uri in uris.items()}, found.settings)
    if source.snapshot and absent == source.repositories[0]:
        what = f"{uris[absent]} does not exist: the mirror has no state of {source.snapshot}; name another day"
        raise mistake(recipe, source.snapshot, "source.arch.snapshot", what)
    what = f"{uris[absent]} does not exist: the mirror has no repository {absent}; name another, or another mirror"
    raise mistake(recipe, absent, "source.arch.repositories", what)


def _chosen(recipe: Recipe, source: Arch, pacman: Pacman, names: Sequence[str]) -> list[Listed]:
    """Return the packages that pacman would install, by name, as their repositories list them."""
    listed = {
        (each.repository, each.name, each.version): each
        for name in source.repositories
        for each in databases.read(name, pacman.sync / f"{name}.db")
    }
    try:
        chosen = pacman.resolve(names)
    except Unknown as error:
        known = sorted({name for _, name, _ in listed})
        problems: list[str] = []
        for name in error.names:
            near = nearest(name, known)
            todo = f"did you mean {near}?" if near else "name the repository that has it, or leave it out"
            what = f"Arch ({' '.join(source.repositories)}) has no package {name}; {todo}"
            problems += mistake(recipe, name, "source.arch.packages", what).problems
        raise RecipeError(problems) from error
    found = [listed.get(each) for each in chosen]
    there = [each for each in found if each is not None]
    if not there or len(there) != len(found):
        raise StageError("pacman chose packages that the databases do not list", "Try again, or another mirror.")
    return sorted(there, key=lambda each: each.name)


def _signatures(listed: Sequence[Listed], found: Mirrors, files: RepositoryFiles) -> list[bytes]:
    """Return each package's signature, which its database has or which stands beside it. Raises StageError."""
    beside = [each for each in listed if each.signature is None]
    urls = [f"{found.uris[each.repository][0]}/{re.sub('[:+~]', _quoted, each.file)}.sig" for each in beside]
    read = dict(zip((each.file for each in beside), files.read_all(urls, _SIGNATURE), strict=True))
    signatures = []
    for each in listed:
        signature = each.signature if each.signature is not None else read[each.file]
        if not signature:
            raise StageError(
                f"{each.name} {each.version} of Arch's repository {each.repository} is not signed",
                "Name another mirror: all of Arch's own packages are.",
            )
        signatures.append(signature)
    return signatures


def _quoted(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
