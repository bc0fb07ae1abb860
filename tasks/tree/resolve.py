"""Resolving: asks a distribution's repositories, by apt, which packages a recipe comes to.

Package lists are kept between runs, below the cache's `apt/`.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote

from bootsmith.cache.lock import Lock as FileLock
from bootsmith.tasks.boot.packages import packages
from bootsmith.tasks.errors import RecipeError, StageError, ToolFailed, ToolMissing
from bootsmith.tasks.recipe.files import packaged
from bootsmith.tasks.recipe.model import Debian, PackageFile
from bootsmith.tasks.tools import host
from bootsmith.tasks.tree import kernel_package, request
from bootsmith.tasks.tree.apt import Apt, Repository
from bootsmith.tasks.tree.lockfile import Lock, Package
from bootsmith.tasks.tree.mirrors import SECURITY, SUITES, UPDATES, Mirrors, extra, roles

if TYPE_CHECKING:
    from bootsmith.tasks.recipe import model
    from bootsmith.tasks.recipe.model import Recipe

_PRIORITIES: Final = {
    "minbase": ("required",),
    "required": ("required",),
    "important": ("required", "important"),
    "standard": ("required", "important", "standard"),
}
_ARCHIVED: Final = ("stretch", "buster", "bullseye")  # signed by keys that leave the keyring when they expire
_OFFLINE: Final = (
    "Could not resolve", "Temporary failure resolving", "Could not connect", "Cannot initiate the connection",
    "Connection failed", "Connection timed out", "Unable to connect", "Network is unreachable",
)  # fmt: skip
_EXPIRED: Final = ("is expired", "is not valid yet")
_NO_KEY: Final = ("NO_PUBKEY", "no public key", "No public key", "couldn't be verified", "is not signed", "Missing key")


@dataclass(frozen=True, slots=True)
class _Release:
    """A release to resolve packages of: the one of the recipe's source, or one that only files are taken out of."""

    suite: str
    arch: str
    source: Debian | None
    files: tuple[PackageFile, ...]

    @property
    def components(self) -> tuple[str, ...]:
        return self.source.components if self.source else ("main",)

    @property
    def security(self) -> bool:
        return self.source.security if self.source else True

    @property
    def repositories(self) -> tuple[model.Repository, ...]:
        return self.source.repositories if self.source else ()

    @property
    def roles(self) -> dict[str, str]:
        return roles(self.suite, security=self.security)


def _releases(recipe: Recipe) -> list[_Release]:
    source = recipe.source if isinstance(recipe.source, Debian) else None
    files: dict[tuple[str, str], list[PackageFile]] = {}
    if source:
        files[source.suite, recipe.arch] = []
    for file in packaged(recipe):
        files.setdefault((str(file.suite), str(file.arch)), []).append(file)
    return [
        _Release(suite, arch, source if source and (suite, arch) == (source.suite, recipe.arch) else None, tuple(found))
        for (suite, arch), found in files.items()
    ]


def resolve(recipe: Recipe, mirrors: Mirrors, cache: Path, say: Callable[[str], None]) -> Lock:
    """Return the packages a recipe comes to today. Raises RecipeError, StageError, ToolMissing."""
    packages: tuple[Package, ...] = ()
    added: dict[str, str] = {}
    files: dict[str, tuple[Package, ...]] = {}
    dates = []
    for release in _releases(recipe):
        with _lists(recipe, release, mirrors, cache, say) as (apt, repositories):
            say(f"resolving the packages of {recipe.name}")
            known = _Known(apt, repositories)
            if release.source:
                packages = _tree(recipe, release, apt, known)
                if kernel_package.is_asked(recipe) and not kernel_package.is_among(packages):
                    added[kernel_package.FACT] = _kernel(recipe, release, known)
                    packages = _tree(recipe, release, apt, known, [*added.values()])
            for file in release.files:
                files[file.key] = _file(recipe, file, apt, known)
            dates.append(_date(apt.folder / "lists"))
    return Lock(request.request(recipe) | added, max(dates), packages, files)


@contextlib.contextmanager
def _lists(
    recipe: Recipe, release: _Release, mirrors: Mirrors, cache: Path, say: Callable[[str], None]
) -> Iterator[tuple[Apt, Sequence[Repository]]]:
    """Hold up to date package lists of a release."""
    wanted = {role: [*mirrors.uris[role]] for role in release.roles}
    asked = (release.suite, release.components, release.security, release.repositories, sorted(mirrors.uris.items()))
    folder = cache / "apt" / hashlib.sha256(repr((release.arch, asked)).encode()).hexdigest()[:32]
    apt = Apt(folder, release.arch, mirrors.settings)
    guard = FileLock(apt.folder / "lock")
    guard.acquire(waiting=lambda holder: say(f"waiting for {holder}, which reads the same package lists"))
    try:
        key = apt.keep_key("archive", _keyrings(release))
        say(f"reading the package lists of {release.suite}")
        while True:
            repositories = [
                Repository(role, wanted[role][0], suite, release.components, key)
                for role, suite in release.roles.items()
                if wanted[role]
            ]
            repositories += [
                Repository(
                    extra(number), each.uri, each.suite, each.components, apt.keep_key(extra(number), [each.key])
                )
                for number, each in enumerate(release.repositories, 1)
            ]
            failed = apt.update(repositories)
            if not failed:
                break
            torn = None if release.source else _torn(repositories, failed)
            if torn:  # a tree waits for its security updates, a single file need not
                say(f"the mirror of {torn.suite} is amid an update: {_of(release)} taken without it")
                wanted[torn.role] = []
                continue
            absent = _absent(repositories, failed)
            if absent is None or not _try_next(wanted, absent):
                _refuse_update(recipe, release, repositories, absent, failed)
        yield apt, repositories
    finally:
        guard.release()


def _keyrings(release: _Release) -> list[Path]:
    if release.source and release.source.keyring:
        return [release.source.keyring]
    try:
        keyring = host.find("debian-archive-keyring")
    except ToolMissing as error:
        also = " Or let source.debian.keyring name a file of them." if release.source else ""
        raise ToolMissing(
            "the keys that Debian signs its releases with are not on this host", f"{error.hint}{also}"
        ) from error
    expired = keyring.with_name("debian-archive-removed-keys.gpg")
    return [keyring, expired] if release.suite in _ARCHIVED and expired.exists() else [keyring]


# -- what may be wrong with a repository


def _absent(repositories: Sequence[Repository], complaint: str) -> Repository | None:
    """Return the repository that is not where it was looked for, by what apt said."""
    for each in repositories:
        place = f"{re.escape(each.printed)}/?(dists/)? ?{re.escape(each.suite)}[ /]"
        if re.search(f"(The repository '|Failed to fetch ){place}.*(does not have a Release|404|not found)", complaint):
            return each
    return None


def _torn(repositories: Sequence[Repository], complaint: str) -> Repository | None:
    """Return the repository, beside the main one, whose lists do not fit together on its mirror just now."""
    for each in repositories[1:]:
        place = f"{re.escape(each.printed)}/?dists/{re.escape(each.suite)}/"
        if re.search(f"Failed to fetch {place}.*Mirror sync in progress", complaint):
            return each
    return None


def _of(release: _Release) -> str:
    names = ", ".join(dict.fromkeys(file.package for file in release.files))
    return f"{names} is" if "," not in names else f"{names} are"


def _try_next(wanted: Mapping[str, list[str]], absent: Repository) -> bool:
    """Leave out the URI that failed; False where the role cannot do without another and has none."""
    candidates = wanted.get(absent.role)
    if candidates:
        candidates.pop(0)
    return bool(candidates) or absent.role == UPDATES  # a suite may have no updates


def _refuse_update(
    recipe: Recipe, release: _Release, repositories: Sequence[Repository], absent: Repository | None, said: str
) -> NoReturn:
    suite = release.suite
    key = "source.debian.suite" if release.source else "suite"
    main = repositories[0].uri
    reasons = "\n".join(dict.fromkeys(line for line in said.splitlines() if line.startswith(("E:", "W:", "Err:"))))
    if any(sign in said for sign in _OFFLINE):
        raise StageError(
            f"the package lists of {suite} cannot be fetched: {main} cannot be reached\n{reasons}",
            "Check the network and the proxy settings, or let source.debian.mirror name another mirror.",
        )
    if absent and absent.role == SECURITY:
        raise StageError(
            f"no security archive of {suite} was found, neither in this host's apt sources nor at {absent.uri}",
            "Set source.debian.security to false to build without security updates.",
        )
    if absent and absent.role == repositories[0].role:
        from bootsmith.tasks.recipe.problems import suggest

        raise _mistake(recipe, suite, key, f"{main} has no suite {suite}; {suggest(suite, SUITES)}")
    if any(sign in said for sign in _EXPIRED):
        raise StageError(
            f"the package lists of {suite} at {main} are out of date\n{reasons}",
            "Check this machine's clock. A mirror frozen on purpose needs Acquire::Check-Valid-Until in apt's config.",
        )
    if any(sign in said for sign in _NO_KEY):
        raise StageError(
            f"the package lists of {suite} are not signed by a key in the keyring\n{reasons}",
            "Install a newer debian-archive-keyring, or let source.debian.keyring name a file that has the key.",
        )
    raise StageError(f"the package lists of {suite} cannot be read\n{reasons or said}", "Try again, or another mirror.")


# -- from package lists to a lock


class _Known:
    """What the package lists speak of: packages' names, names that others provide, and whose each content is."""

    def __init__(self, apt: Apt, repositories: Sequence[Repository]) -> None:
        self.names: set[str] = set()
        self.provided: set[str] = set()
        self._roles: dict[str, str] = {}
        for number, text in apt.lists():
            self.names.update(_fields("Package", text))
            self.provided.update(each.split()[0] for line in _fields("Provides", text) for each in line.split(","))
            role = repositories[number].role
            found = _fields("SHA256", text)
            self._roles |= {sha256: role for sha256 in found if role == UPDATES or sha256 not in self._roles}

    def package(self, about: Mapping[str, str], *, asked: bool) -> Package:
        """Return the package that a stanza is about."""
        return Package(
            name=about["Package"],
            version=about["Version"],
            arch=about["Architecture"],
            role=self._roles[about["SHA256"]],
            asked=asked,
            size=int(about["Size"]),
            sha256=about["SHA256"],
            filename=about["Filename"].removeprefix("./"),
        )


def _tree(
    recipe: Recipe, release: _Release, apt: Apt, known: _Known, further: Sequence[str] = ()
) -> tuple[Package, ...]:
    """Return the packages of the recipe's tree, with those that `further` names."""
    debian = release.source
    assert debian is not None, "of this release the tree is made"
    _check_names(recipe, debian, known)
    loader = [name for name in packages(recipe) if name in known.names]
    asked = ["apt", *debian.packages, *loader, *further]
    chosen = _chosen(recipe, debian, apt, [*asked, *(f"{name}-" for name in debian.exclude)])
    unique = {}
    for about in _stanzas(apt.text("apt-cache", "show", *chosen)):
        if chosen[f"{about['Package']}={about['Version']}"] != about["SHA256"]:
            continue  # another repository has other bytes by the same name
        important = about.get("Essential") == "yes" or about.get("Priority") in _PRIORITIES[debian.variant]
        unique[about["Package"]] = known.package(about, asked=important or about["Package"] in asked)
    return tuple(unique[name] for name in sorted(unique))


def _kernel(recipe: Recipe, release: _Release, known: _Known) -> str:
    """Return the distribution's kernel package, which must be there."""
    name = kernel_package.name(recipe)
    if name not in known.names:
        what = f"{release.suite} has no package {name}; name a kernel in source.debian.packages, or one of your own"
        raise _mistake(recipe, "install", "boot.kernel", what)
    return name


def _file(recipe: Recipe, file: PackageFile, apt: Apt, known: _Known) -> tuple[Package, ...]:
    """Return the packages a file may come out of: its own, then what that depends on exactly, nearest first."""
    if file.package not in known.names:
        alike = _alike(file.package, known)
        todo = f"did you mean {alike}?" if alike else "name another package, or with suite: another release"
        what = f"{file.suite} has no package {file.package} for {file.arch}; {todo}"
        raise _mistake(recipe, file.package, "package", what)
    found: dict[str, Package] = {}
    waiting = [file.package]
    while waiting:
        word = waiting.pop(0)
        name = word.partition("=")[0]
        if name in found or name not in known.names:
            continue
        done = apt.run("apt-cache", "--no-all-versions", "show", word)
        for about in [*_stanzas(done.stdout.decode())][:1]:
            found[name] = known.package(about, asked=name == file.package)
            waiting += exactly(about.get("Depends", ""))
    return tuple(found.values())


def exactly(depends: str) -> list[str]:
    """Return of a package's dependencies those on one version alone, as NAME=VERSION."""
    found = re.findall(r"(?:^|,)\s*([^\s,|(:]+)(?::\w+)?\s*\(=\s*([^\s)]+)\)\s*(?=,|$)", depends)
    return [f"{name}={version}" for name, version in found]


def _fields(name: str, text: str) -> list[str]:
    return re.findall(rf"^{name}: (.+)$", text, re.MULTILINE)


def _chosen(recipe: Recipe, debian: Debian, apt: Apt, asked: Sequence[str]) -> dict[str, str]:
    """Return the packages that apt would install: "NAME=VERSION" -> SHA-256."""
    recommends = "true" if debian.recommends else "false"
    patterns = ["?essential", *(f"?priority({each})" for each in _PRIORITIES[debian.variant])]
    options = ["-q", "-o", f"APT::Install-Recommends={recommends}", "--print-uris"]
    done = apt.run("apt-get", *options, "install", *patterns, *asked)
    if done.status:
        said = (done.stdout + done.stderr).decode(errors="replace")
        shown = re.sub(r"(?s).*?(The following packages have unmet|E: )", r"\1", said, count=1).strip()
        raise ToolFailed(
            f"the packages of {recipe.name} cannot be installed together",
            "Change source.debian.packages or exclude, or add the repository that has what is missing.",
            tail=shown,
        )
    found = {}
    for file, sha256 in re.findall(r"^'\S+' (\S+) \d+ SHA256:(\w+)$", done.stdout.decode(), re.MULTILINE):
        name, version, _ = unquote(file).split("_")
        found[f"{name}={version}"] = sha256
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", stanza, re.MULTILINE))
        if fields:
            yield fields


def _date(lists: Path) -> int:
    """Return the newest date among the releases apt fetched, in seconds UTC."""
    dates = [
        email.utils.parsedate_to_datetime(match).timestamp()
        for path in lists.glob("*Release")
        for match in re.findall(r"^Date: (.+)$", path.read_text(errors="replace"), re.MULTILINE)
    ]
    return int(max(dates))


def _check_names(recipe: Recipe, debian: Debian, known: _Known) -> None:
    """Refuse packages that are in no repository, all at once."""
    problems = []
    for key, asked in (("packages", debian.packages), ("exclude", debian.exclude)):
        for name in asked:
            if name in known.names or name in known.provided:
                continue
            alike = _alike(name, known)
            todo = f"did you mean {alike}?" if alike else "add the component or repository that has it, or leave it out"
            what = f"{debian.suite} ({' '.join(debian.components)}) has no package {name}; {todo}"
            problems += _mistake(recipe, name, f"source.debian.{key}", what).problems
    if problems:
        raise RecipeError(problems)


def _alike(name: str, known: _Known) -> str | None:
    """Return the package that was probably meant."""
    from bootsmith.tasks.recipe.problems import near

    return near(name, (each for each in known.names if each[:1] == name[:1] and abs(len(each) - len(name)) <= 3))


def _mistake(recipe: Recipe, word: str, key: str, what: str) -> RecipeError:
    """Return a mistake in the recipe, placed where the word stands."""
    for file in recipe.files:
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            found = re.search(rf"(?<![\w.+-]){re.escape(word)}(?![\w.+-])", line.partition(" #")[0])
            if found:
                return RecipeError([f"{_shown(file)}:{number}:{found.start() + 1}: {key}: {what}"])
    return RecipeError([f"{_shown(recipe.file)}: {key}: {what}"])


def _shown(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
