"""A release's package lists: fetched by apt, kept between runs below the cache's `apt/`; what may be wrong there."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import email.utils
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Final, NoReturn

from bootsmith.cache.files.lock import FileLock
from bootsmith.tasks.errors import StageError, ToolMissing
from bootsmith.tasks.packages.apt import Apt, Repository
from bootsmith.tasks.packages.mirrors import SECURITY, SUITES, UPDATES, Mirrors, extra, roles
from bootsmith.tasks.packages.request import distribution, mistake, section
from bootsmith.tasks.recipe.model.files import PackageFile
from bootsmith.tasks.recipe.model.source import Debian
from bootsmith.tasks.recipe.values.files import packaged
from bootsmith.tasks.tools import host

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import source as model
    from bootsmith.tasks.recipe.model.recipe import Recipe

UBUNTU_KEYS: Final = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
UBUNTU_SUITES: Final = ("focal", "jammy", "noble", "plucky", "questing")
_ARCHIVED: Final = ("stretch", "buster", "bullseye")  # signed by keys that leave the keyring when they expire
_OFFLINE: Final = (
    "Could not resolve", "Temporary failure resolving", "Could not connect", "Cannot initiate the connection",
    "Connection failed", "Connection timed out", "Unable to connect", "Network is unreachable",
)  # fmt: skip
PAUSES: Final = (10, 20, 40, 80, 120)
"""Seconds to wait for a mirror that is amid an update, one after the other: most take a minute or two for one."""
_EXPIRED: Final = ("is expired", "is not valid yet")
_NO_KEY: Final = ("NO_PUBKEY", "no public key", "No public key", "couldn't be verified", "is not signed", "Missing key")


@dataclass(frozen=True, slots=True)
class Release:
    """A release to resolve packages of: the one of the recipe's source, or one that only files are taken out of."""

    suite: str
    arch: str
    source: Debian | None
    files: tuple[PackageFile, ...]
    security: bool = True
    key: str = "source.debian"
    """The section of the recipe that says where its packages come from."""
    distribution: str = "debian"

    @property
    def components(self) -> tuple[str, ...]:
        return self.source.components if self.source else ("main",)

    @property
    def repositories(self) -> tuple[model.Repository, ...]:
        return self.source.repositories if self.source else ()

    @property
    def roles(self) -> dict[str, str]:
        return roles(self.suite, security=self.security)


def releases(recipe: Recipe) -> list[Release]:
    """Return the releases that a recipe's packages, and the files it takes out of some, are resolved of."""
    source = recipe.source if isinstance(recipe.source, Debian) else None
    security = source is None or source.security
    files: dict[tuple[str, str], list[PackageFile]] = {}
    tree = (source.suite, recipe.arch) if source else None
    if tree:
        files[tree] = []
    for file in packaged(recipe):
        files.setdefault((str(file.suite), str(file.arch)), []).append(file)
    whose = section(recipe), distribution(recipe)
    return [
        Release(suite, arch, source, tuple(found), security, *whose)
        if (suite, arch) == tree
        else Release(suite, arch, None, tuple(found), security and any(file.security for file in found), *whose)
        for (suite, arch), found in files.items()
    ]


@contextlib.contextmanager
def held(
    recipe: Recipe,
    release: Release,
    mirrors: Mirrors,
    cache: Path,
    say: Callable[[str], None],
    *,
    refresh: bool = True,
) -> Iterator[tuple[Apt, Sequence[Repository]]]:
    """Hold the package lists of a release, up to date, or without `refresh` as they were last time, if they were."""
    wanted = {role: [*mirrors.uris[role]] for role in release.roles}
    asked = (release.suite, release.components, release.security, release.repositories, sorted(mirrors.uris.items()))
    folder = cache / "apt" / hashlib.sha256(repr((release.arch, asked)).encode()).hexdigest()[:32]
    apt = Apt(folder, release.arch, mirrors.settings)
    noted = folder / "repositories.json"
    guard = FileLock(apt.folder / "lock")
    guard.acquire(waiting=lambda holder: say(f"waiting for {holder}, which reads the same package lists"))
    try:
        if not refresh and noted.exists():
            yield apt, _noted(noted)
            return
        noted.unlink(missing_ok=True)
        key = apt.keep_key("archive", _keyrings(release))
        say(f"reading the package lists of {release.suite}")
        pauses = iter(PAUSES)
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
            if torn := _torn(repositories, failed):
                pause = next(pauses, None)
                if pause is None:
                    _refuse_torn(release, torn)
                say(f"the mirror of {torn.suite} is amid an update: trying again in {pause} s")
                sleep(pause)
                continue
            absent = _absent(repositories, failed)
            if absent is None or not _try_next(wanted, absent):
                _refuse_update(recipe, release, repositories, absent, failed)
        noted.write_text(json.dumps([[*dataclasses.astuple(each)[:-1], str(each.key)] for each in repositories]))
        yield apt, repositories
    finally:
        guard.release()


def _noted(file: Path) -> list[Repository]:
    """Return the repositories that lists were last fetched of."""
    rows = json.loads(file.read_bytes())
    return [Repository(role, uri, suite, tuple(parts), Path(key)) for role, uri, suite, parts, key in rows]


def _keyrings(release: Release) -> list[Path]:
    if release.source and release.source.keyring:
        return [release.source.keyring]
    if release.distribution == "ubuntu":
        if not UBUNTU_KEYS.is_file():
            raise StageError(
                f"the keys that Ubuntu signs its releases with are not on this host: there is no {UBUNTU_KEYS}",
                f"Install ubuntu-archive-keyring (ubuntu-keyring), or let {release.key}.keyring name a file of them.",
            )
        return [UBUNTU_KEYS]
    try:
        keyring = host.find("debian-archive-keyring")
    except ToolMissing as error:
        also = f" Or let {release.key}.keyring name a file of them." if release.source else ""
        raise ToolMissing(
            "the keys that Debian signs its releases with are not on this host", f"{error.hint}{also}"
        ) from error
    expired = keyring.with_name("debian-archive-removed-keys.gpg")
    return [keyring, expired] if release.suite in _ARCHIVED and expired.exists() else [keyring]


def _absent(repositories: Sequence[Repository], complaint: str) -> Repository | None:
    """Return the repository that is not where it was looked for, by what apt said."""
    for each in repositories:
        place = f"{re.escape(each.printed)}/?(dists/)? ?{re.escape(each.suite)}[ /]"
        if re.search(f"(The repository '|Failed to fetch ){place}.*(does not have a Release|404|not found)", complaint):
            return each
    return None


def _torn(repositories: Sequence[Repository], complaint: str) -> Repository | None:
    """Return the repository whose lists do not fit together on its mirror just now."""
    for each in repositories:
        place = f"{re.escape(each.printed)}/?dists/{re.escape(each.suite)}/"
        if re.search(f"Failed to fetch {place}.*Mirror sync in progress", complaint):
            return each
    return None


def _refuse_torn(release: Release, torn: Repository) -> NoReturn:
    raise StageError(
        f"the mirror of {torn.suite} is amid an update, and was so for {sum(PAUSES)} seconds: {torn.printed}",
        f"Try again later. {_otherwise(release, torn)}",
    )


def _otherwise(release: Release, torn: Repository) -> str:
    if torn.role == SECURITY and release.source is None:
        return "Or name another mirror in this host's apt sources, or write security: false beside the files' package:."
    return without(release.source if torn.role == SECURITY else None, release.key)


def without(source: Debian | None, key: str = "source.debian") -> str:
    """Return what else can be done where a mirror fails; of a release's security archive, given whose it is."""
    if source is None:
        return f"Or name another mirror: {key}.mirror, or this host's apt sources."
    return f"Or name another mirror ({key}.mirror), or do without such updates: {key}.security: false."


def _try_next(wanted: Mapping[str, list[str]], absent: Repository) -> bool:
    """Leave out the URI that failed; False where the role cannot do without another and has none."""
    candidates = wanted.get(absent.role)
    if candidates:
        candidates.pop(0)
    return bool(candidates) or absent.role == UPDATES  # a suite may have no updates


def _refuse_update(
    recipe: Recipe, release: Release, repositories: Sequence[Repository], absent: Repository | None, said: str
) -> NoReturn:
    suite = release.suite
    key = f"{release.key}.suite" if release.source else "suite"
    main = repositories[0].uri
    reasons = "\n".join(dict.fromkeys(line for line in said.splitlines() if line.startswith(("E:", "W:", "Err:"))))
    if any(sign in said for sign in _OFFLINE):
        raise StageError(
            f"the package lists of {suite} cannot be fetched: {main} cannot be reached\n{reasons}",
            f"Check the network and the proxy settings, or let {release.key}.mirror name another mirror.",
        )
    if absent and absent.role == SECURITY:
        raise StageError(
            f"no security archive of {suite} was found, neither in this host's apt sources nor at {absent.uri}",
            f"Set {release.key}.security to false to build without security updates.",
        )
    if absent and absent.role == repositories[0].role:
        from bootsmith.tasks.recipe.text.problems import suggest

        known = SUITES if release.distribution == "debian" else UBUNTU_SUITES
        raise mistake(recipe, suite, key, f"{main} has no suite {suite}; {suggest(suite, known)}")
    if any(sign in said for sign in _EXPIRED):
        raise StageError(
            f"the package lists of {suite} at {main} are out of date\n{reasons}",
            "Check this machine's clock. A mirror frozen on purpose needs Acquire::Check-Valid-Until in apt's config.",
        )
    if any(sign in said for sign in _NO_KEY):
        raise StageError(
            f"the package lists of {suite} are not signed by a key in the keyring\n{reasons}",
            f"Install a newer {release.distribution}-archive-keyring, "
            f"or let {release.key}.keyring name a file that has the key.",
        )
    raise StageError(f"the package lists of {suite} cannot be read\n{reasons or said}", "Try again, or another mirror.")


def date(lists: Path) -> int:
    """Return the newest date among the releases apt fetched, in seconds UTC. Raises StageError where none says one."""
    said = [
        line
        for path in lists.glob("*Release")
        for line in re.findall(r"^Date: (.+)$", path.read_text(errors="replace"), re.MULTILINE)
    ]
    dates = [seconds for each in said if (seconds := _seconds(each)) is not None]
    if not dates:
        raise StageError("none of the mirrors' Release files says when it was made", "Try again, or another mirror.")
    return max(dates)


def _seconds(date: str) -> int | None:
    try:
        said = email.utils.parsedate_to_datetime(date)
        return int((said if said.tzinfo else said.replace(tzinfo=dt.UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
