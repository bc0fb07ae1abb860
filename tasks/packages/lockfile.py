"""The lock file: exactly which packages an image is made of, by version and SHA-256; a source file beside the recipe.

Text, one line a fact and one line a package, sorted; no URL is in it. Packages stand as

    NAME VERSION ARCH ROLE asked|needed SIZE SHA256 FILENAME

where ROLE tells the repository (mirrors.py), SIZE is in bytes and FILENAME is relative to a mirror's base. After the
packages that the tree begins with stand those of each layer that installs or removes some, below a line

    layer: NAME

with a line `-NAME` for each package that it takes away. At the end stand those that single files are taken out of,
below a line for each:

    file: NAME SUITE ARCH

first NAME itself, then what it depends on exactly (`=`), nearest first.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.build.stage import Download
from bootsmith.tasks.errors import StageError

FORM: Final = "bootsmith lock 1"
_HEAD: Final = (
    "# The packages of one image. Commit this file to keep them; `doit update` asks the distribution for newer ones.\n"
)
_REMOVED: Final = re.compile(r"-[a-z0-9][a-z0-9+.-]+")
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

    @property
    def download(self) -> Download:
        """The package's file, as a stage asks for it."""
        return Download(f"{self.name} {self.version}", self.role, self.filename, self.size, self.sha256)


class LayerPackages(NamedTuple):
    """What a layer of packages comes to, on top of the tree below: what it installs, and the names it removes."""

    packages: tuple[Package, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LockFile:
    """What a recipe's source, and its layers of packages, were resolved to.

    `request` is what of the recipe it was resolved for, each value one line of text, and for `boot.kernel: install` the
    kernel's package where it had to be added; `date` the newest release's, in seconds UTC.
    """

    request: Mapping[str, str]
    date: int
    packages: tuple[Package, ...] = ()
    files: Mapping[str, tuple[Package, ...]] = field(default_factory=dict)
    """What files are taken out of, by `PackageFile.key`."""
    layers: Mapping[str, LayerPackages] = field(default_factory=dict)
    """What layers of packages come to, by the layer's name."""

    @property
    def of_tree(self) -> tuple[Package, ...]:
        """Every package that is installed at some time, those that a later layer replaces or removes among them."""
        return (*self.packages, *(package for layer in self.layers.values() for package in layer.packages))


# -- the file


def read(path: Path) -> LockFile:
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
    layers: dict[str, tuple[list[Package], list[str]]] = {}
    tree: list[Package] = []
    packages, removed = tree, list[str]()
    for number, line in lines[1:]:
        key, colon, value = line.partition(":")
        if key in ("file", "layer") and colon:
            packages, removed = (
                (files.setdefault("/".join(value.split()), []), [])
                if key == "file"
                else layers.setdefault(value.strip(), ([], []))
            )
            continue
        if _REMOVED.fullmatch(line):
            removed.append(line[1:])
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
        raise _wrong(path, 1, f"the date cannot be understood ({shown(str(error))})") from error
    if not (tree or layers or files) or not all(files.values()):
        raise _wrong(path, len(text.splitlines()), "it lists no package")
    return LockFile(
        facts,
        int(date.timestamp()),
        tuple(tree),
        {key: tuple(found) for key, found in files.items()},
        {name: LayerPackages(tuple(added), tuple(gone)) for name, (added, gone) in layers.items()},
    )


_RESOLVE: Final = "Remove it, or run `doit update`, to have it made again."


def _wrong(path: Path, line: int, what: str) -> StageError:
    return StageError(f"{path}:{line}: {what}", _RESOLVE)


def _package(line: str) -> Package | None:
    fields = line.split()
    if len(fields) != _FIELDS:
        return None
    name, version, arch, role, why, size, sha256, filename = fields
    leads_out = filename.startswith("/") or ".." in filename
    if why not in ("asked", "needed") or not size.isdigit() or not _SHA256.fullmatch(sha256) or leads_out:
        return None
    return Package(name, version, arch, role, why == "asked", int(size), sha256, filename)


def to_text(lock: LockFile) -> str:
    """Return a lock as its file has it."""
    date = dt.datetime.fromtimestamp(lock.date, dt.UTC).strftime(_DATE)
    facts = "".join(f"{key}: {value}".rstrip() + "\n" for key, value in lock.request.items())
    packages = _rows(sorted(lock.packages, key=lambda package: (package.name, package.arch)))
    layers = "".join(
        f"\nlayer: {name}\n{_rows(added)}" + "".join(f"-{each}\n" for each in gone)
        for name, (added, gone) in lock.layers.items()
    )
    files = "".join(f"\nfile: {key.replace('/', ' ')}\n{_rows(lock.files[key])}" for key in sorted(lock.files))
    return f"{_HEAD}{FORM}\n{facts}date: {date}\n" + (f"\n{packages}" if packages else "") + layers + files


def _rows(packages: Sequence[Package]) -> str:
    return "".join(
        f"{p.name} {p.version} {p.arch} {p.role} {'asked' if p.asked else 'needed'} {p.size} {p.sha256} {p.filename}\n"
        for p in packages
    )


def write(path: Path, lock: LockFile) -> None:
    """Write a lock file, whole or not at all. Raises StageError."""
    from bootsmith.cache.files import temporary

    try:
        temporary.write(path, to_text(lock).encode())
    except OSError as error:
        raise StageError(
            f"the lock file {path} cannot be written: {error.strerror}",
            "It belongs beside the recipe: make that folder writable.",
        ) from error


def versions(path: Path) -> dict[str, str]:
    """Return the packages of a lock file that a tree is made of: "NAME ARCH" -> version. Raises StageError, OSError."""
    return {f"{each.name} {each.arch}": each.version for each in read(path).of_tree}


class Change(NamedTuple):
    """A package that another lock has otherwise: `was` is None where it is new, `now` where it is gone.

    `place` is the layer that has it, "" for what the tree begins with.
    """

    place: str
    was: Package | None
    now: Package | None

    def __str__(self) -> str:
        if self.was is None or self.now is None:
            each = self.was or self.now
            assert each is not None, "a change is of something"
            return f"{'-' if self.was else '+'}{each.name} {each.version}"
        return f"{self.now.name} {self.was.version} -> {self.now.version}"


def changes(old: LockFile | None, new: LockFile) -> list[Change]:
    """Return what differs between two locks' packages."""
    before, after = _by_place(old) if old else {}, _by_place(new)
    pairs = [(key[2], before.get(key), after.get(key)) for key in sorted({*before, *after})]
    return [Change(*each) for each in pairs if (each[1] and each[1].sha256) != (each[2] and each[2].sha256)]


def _by_place(lock: LockFile) -> dict[tuple[str, str, str], Package]:
    """Return the packages of a lock by name, architecture and the layer that has them, "" for what it begins with."""
    begins = (*lock.packages, *(package for found in lock.files.values() for package in found))
    places = {"": begins, **{name: layer.packages for name, layer in lock.layers.items()}}
    return {(each.name, each.arch, place): each for place, packages in places.items() for each in packages}


def part(lock: LockFile, layer: str | None) -> LockFile:
    """Return of a lock what the tree begins with, or what one layer adds, which is called `packages` there.

    The former is what the whole lock would be, had the recipe no such layers.
    """
    if layer is None:
        request = {key: value for key, value in lock.request.items() if not key.startswith("layer")}
        return LockFile(request, lock.date, lock.packages, lock.files)
    request = {key: lock.request[key] for key in ("suite", "arch") if key in lock.request}
    return LockFile(request, lock.date, layers={"packages": lock.layers.get(layer, LayerPackages((), ()))})
