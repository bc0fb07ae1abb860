"""The lock file: exactly which packages an image is made of, by version and SHA-256; a source file beside the recipe.

Text, one line a fact and one line a package, sorted; no URL is in it. Packages stand as

    NAME VERSION ARCH ROLE asked|needed SIZE SHA256 FILENAME

where ROLE tells the repository (mirrors.py), SIZE is in bytes and FILENAME is relative to a mirror's base. After the
tree's packages stand those that single files are taken out of, below a line for each:

    file: NAME SUITE ARCH

first NAME itself, then what it depends on exactly (`=`), nearest first.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.cache.store import Store
    from bootsmith.tasks.recipe.model import Recipe

FORM: Final = "bootsmith lock 1"
_HEAD: Final = (
    "# The packages of one image. Commit this file to keep them; `doit update` asks the distribution for newer ones.\n"
)
_WORD: Final = re.compile(r"\S+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = 8
_DATE: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Package:
    """One package. `asked` is False for what came only because others depend on it."""

    name: str
    version: str
    arch: str
    role: str
    asked: bool
    size: int
    sha256: str
    filename: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What a recipe's source was resolved to.

    `request` is what of the recipe it was resolved for, each value one line of text; `date` the newest release's, in
    seconds UTC.
    """

    request: Mapping[str, str]
    date: int
    packages: tuple[Package, ...] = ()
    files: Mapping[str, tuple[Package, ...]] = field(default_factory=dict)
    """What files are taken out of, by `PackageFile.key`."""


def needed(recipe: Recipe) -> bool:
    """Tell whether a recipe needs any package, and so a lock file."""
    from bootsmith.tasks.recipe.files import packaged
    from bootsmith.tasks.recipe.model import Debian

    return isinstance(recipe.source, Debian) or any(packaged(recipe))


def request(recipe: Recipe) -> dict[str, str]:
    """Return all of a recipe that decides which packages it needs, as a lock file writes it."""
    from bootsmith.tasks.recipe.files import packaged
    from bootsmith.tasks.recipe.model import Debian

    debian = recipe.source
    files = sorted({file.key for file in packaged(recipe)})
    of_files = {"files": " ".join(files)} if files else {}
    if not isinstance(debian, Debian):
        return of_files
    found = {
        "suite": debian.suite,
        "arch": recipe.arch,
        "variant": debian.variant,
        "components": " ".join(debian.components),
        "packages": " ".join(sorted(set(debian.packages))),
        "loader": " ".join(loader_packages(recipe)),
        "exclude": " ".join(sorted(set(debian.exclude))),
        "recommends": _yes(debian.recommends),
        "security": _yes(debian.security),
    }
    for number, each in enumerate(debian.repositories, 1):
        found[f"repository{number}"] = json.dumps([each.uri, each.suite, *each.components])
    return found | of_files


def loader_packages(recipe: Recipe) -> tuple[str, ...]:
    """Return the packages the recipe's loader comes in, which belong to the tree."""
    from bootsmith.tasks.boot import bootloader

    return bootloader.packages(recipe)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def stale(lock: Lock, recipe: Recipe) -> str | None:
    """Return why a lock no longer fits the recipe, or None where it does."""
    wanted = request(recipe)
    for key in {**wanted, **lock.request}:
        before, now = lock.request.get(key, ""), wanted.get(key, "")
        if before == now:
            continue
        if key not in ("packages", "components", "exclude", "loader", "files"):
            return f"{key}: {before or 'none'} became {now or 'none'}"
        added = sorted(set(now.split()) - set(before.split()))
        removed = sorted(set(before.split()) - set(now.split()))
        return f"{key}: " + " ".join([*(f"+{name}" for name in added), *(f"-{name}" for name in removed)])
    return None


# -- the file


def read(path: Path) -> Lock:
    """Return what a lock file says. Raises StageError naming the line that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"{path} cannot be read: {error}", _RESOLVE) from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    if not lines or lines[0][1] != FORM:
        raise _wrong(path, 1, f"this is no lock file (it does not say {FORM!r})")
    facts: dict[str, str] = {}
    files: dict[str, list[Package]] = {}
    tree: list[Package] = []
    packages = tree
    for number, line in lines[1:]:
        key, colon, value = line.partition(":")
        if key == "file" and colon:
            packages = files.setdefault("/".join(value.split()), [])
            continue
        if colon and " " not in key:
            facts[key] = value.strip()
            continue
        package = _package(line)
        if package is None:
            raise _wrong(path, number, f"not a package: {line[:60]!r}")
        packages.append(package)
    try:
        date = dt.datetime.strptime(facts.pop("date", ""), _DATE).replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise _wrong(path, 1, f"the date cannot be understood ({error})") from error
    if not packages:
        raise _wrong(path, len(text.splitlines()), "it lists no package")
    return Lock(facts, int(date.timestamp()), tuple(tree), {key: tuple(found) for key, found in files.items()})


_RESOLVE: Final = "Remove it, or run `doit update`, to have it made again."


def _wrong(path: Path, line: int, what: str) -> StageError:
    return StageError(f"{path}:{line}: {what}", _RESOLVE)


def _package(line: str) -> Package | None:
    fields = line.split()
    if len(fields) != _FIELDS:
        return None
    name, version, arch, role, why, size, sha256, filename = fields
    if why not in ("asked", "needed") or not size.isdigit() or not _SHA256.fullmatch(sha256) or ".." in filename:
        return None
    return Package(name, version, arch, role, why == "asked", int(size), sha256, filename)


def to_text(lock: Lock) -> str:
    """Return a lock as its file has it."""
    date = dt.datetime.fromtimestamp(lock.date, dt.UTC).strftime(_DATE)
    facts = "".join(f"{key}: {value}".rstrip() + "\n" for key, value in lock.request.items())
    packages = _rows(sorted(lock.packages, key=lambda package: (package.name, package.arch)))
    files = "".join(f"\nfile: {key.replace('/', ' ')}\n{_rows(lock.files[key])}" for key in sorted(lock.files))
    return f"{_HEAD}{FORM}\n{facts}date: {date}\n" + (f"\n{packages}" if packages else "") + files


def _rows(packages: Sequence[Package]) -> str:
    return "".join(
        f"{p.name} {p.version} {p.arch} {p.role} {'asked' if p.asked else 'needed'} {p.size} {p.sha256} {p.filename}\n"
        for p in packages
    )


def write(path: Path, lock: Lock) -> None:
    """Write a lock file, whole or not at all. Raises StageError."""
    from bootsmith.cache import temporary

    try:
        temporary.write(path, to_text(lock).encode())
    except OSError as error:
        raise StageError(
            f"the lock file {path} cannot be written: {error.strerror}",
            "It belongs beside the recipe: make that folder writable.",
        ) from error


# -- keeping it up to date


def ensure(recipe: Recipe, path: Path, store: Store, say: Callable[[str], None]) -> Lock:
    """Return the recipe's lock, resolved first where there is none or it does not fit the recipe any more.

    Raises RecipeError for packages and suites that are not there, StageError for what the user can mend otherwise.
    """
    old = None
    if path.exists():
        old = read(path)
        reason = stale(old, recipe)
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


def _renew(recipe: Recipe, path: Path, old: Lock | None, store: Store, say: Callable[[str], None]) -> Lock:
    from bootsmith.tasks.tree import mirrors, resolve

    try:
        new = resolve.resolve(recipe, mirrors.find(*mirrors.named(recipe)), store.root, say)
    except StageError as error:
        raise _without(recipe, error) from error
    if old is not None and (old.request, old.packages, old.files) == (new.request, new.packages, new.files):
        new = old  # a later release with the same packages: nothing changes, time stamps neither
    write(path, new)
    return new


def _without(recipe: Recipe, error: StageError) -> StageError:
    """Return why packages cannot be had, with what was looked for before a file was to come out of one."""
    from bootsmith.tasks.recipe.files import packaged

    for file in packaged(recipe):
        if file.instead_of:
            missing = ", ".join(str(path) for path in file.instead_of)
            what = f"{missing}: not there; and {file.path} of the package {file.package} cannot be had: {error.message}"
            return StageError(what, f"{error.hint} Or create one of these files.")
    return error


def changes(old: Lock | None, new: Lock) -> list[str]:
    """Return what differs between two locks' packages: "NAME OLD -> NEW", "+NAME VERSION", "-NAME VERSION"."""
    before = {(p.name, p.arch): p for p in _all(old)} if old else {}
    after = {(p.name, p.arch): p for p in _all(new)}
    found = []
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was is None and now is not None:
            found.append(f"+{now.name} {now.version}")
        elif was is not None and now is None:
            found.append(f"-{was.name} {was.version}")
        elif was and now and was.sha256 != now.sha256:
            found.append(f"{now.name} {was.version} -> {now.version}")
    return found


def _all(lock: Lock) -> tuple[Package, ...]:
    return (*lock.packages, *(package for found in lock.files.values() for package in found))
