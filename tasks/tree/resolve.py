"""Resolving: asks a distribution's repositories, by apt, which packages a recipe comes to.

Package lists are kept between runs, below the cache's `apt/`.
"""

from __future__ import annotations

import email.utils
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import unquote

from bootsmith.cache.lock import Lock as FileLock
from bootsmith.tasks.errors import RecipeError, StageError, ToolFailed, ToolMissing
from bootsmith.tasks.tools import host
from bootsmith.tasks.tree import lockfile
from bootsmith.tasks.tree.apt import Apt, Repository
from bootsmith.tasks.tree.lockfile import Lock, Package
from bootsmith.tasks.tree.mirrors import SECURITY, SUITES, UPDATES, Mirrors, extra, roles

if TYPE_CHECKING:
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


def resolve(recipe: Recipe, mirrors: Mirrors, cache: Path, say: Callable[[str], None]) -> Lock:
    """Return the packages a recipe comes to today. Raises RecipeError, StageError, ToolMissing."""
    debian = recipe.source
    wanted = {role: [*mirrors.uris[role]] for role in roles(debian.suite, security=debian.security)}
    lists = (debian.suite, debian.components, debian.security, debian.repositories, sorted(mirrors.uris.items()))
    folder = cache / "apt" / hashlib.sha256(repr((recipe.arch, lists)).encode()).hexdigest()[:32]
    apt = Apt(folder, recipe.arch, mirrors.settings)
    guard = FileLock(apt.folder / "lock")
    guard.acquire(waiting=lambda holder: say(f"waiting for {holder}, which reads the same package lists"))
    try:
        key = apt.keep_key("archive", _keyrings(recipe))
        say(f"reading the package lists of {debian.suite}")
        while True:
            repositories = [
                Repository(role, wanted[role][0], suite, debian.components, key)
                for role, suite in roles(debian.suite, security=debian.security).items()
                if wanted[role]
            ]
            repositories += [
                Repository(
                    extra(number), each.uri, each.suite, each.components, apt.keep_key(extra(number), [each.key])
                )
                for number, each in enumerate(debian.repositories, 1)
            ]
            failed = apt.update(repositories)
            if not failed:
                break
            absent = _absent(repositories, failed)
            if absent is None or not _try_next(wanted, absent):
                _refuse_update(recipe, repositories, absent, failed)
        say(f"resolving the packages of {recipe.name}")
        return _locked(recipe, apt, repositories)
    finally:
        guard.release()


def _keyrings(recipe: Recipe) -> list[Path]:
    if recipe.source.keyring:
        return [recipe.source.keyring]
    try:
        keyring = host.find("debian-archive-keyring")
    except ToolMissing as error:
        raise ToolMissing(
            "the keys that Debian signs its releases with are not on this host",
            f"{error.hint} Or let source.debian.keyring name a file of them.",
        ) from error
    expired = keyring.with_name("debian-archive-removed-keys.gpg")
    return [keyring, expired] if recipe.source.suite in _ARCHIVED and expired.exists() else [keyring]


# -- what may be wrong with a repository


def _absent(repositories: Sequence[Repository], complaint: str) -> Repository | None:
    """Return the repository that is not where it was looked for, by what apt said."""
    for each in repositories:
        place = f"{re.escape(each.printed)}/?(dists/)? ?{re.escape(each.suite)}[ /]"
        if re.search(f"(The repository '|Failed to fetch ){place}.*(does not have a Release|404|not found)", complaint):
            return each
    return None


def _try_next(wanted: Mapping[str, list[str]], absent: Repository) -> bool:
    """Leave out the URI that failed; False where the role cannot do without another and has none."""
    candidates = wanted.get(absent.role)
    if candidates:
        candidates.pop(0)
    return bool(candidates) or absent.role == UPDATES  # a suite may have no updates


def _refuse_update(
    recipe: Recipe, repositories: Sequence[Repository], absent: Repository | None, said: str
) -> NoReturn:
    suite = recipe.source.suite
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

        raise _mistake(recipe, suite, "source.debian.suite", f"{main} has no suite {suite}; {suggest(suite, SUITES)}")
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


def _locked(recipe: Recipe, apt: Apt, repositories: Sequence[Repository]) -> Lock:
    debian = recipe.source
    names: set[str] = set()
    provided: set[str] = set()
    roles_of: dict[str, str] = {}
    for number, text in apt.lists():
        names.update(_fields("Package", text))
        provided.update(each.split()[0] for line in _fields("Provides", text) for each in line.split(","))
        role = repositories[number].role
        roles_of |= {sha256: role for sha256 in _fields("SHA256", text) if role == UPDATES or sha256 not in roles_of}
    _check_names(recipe, names, provided)
    loader = [name for name in lockfile.loader_packages(recipe) if name in names]
    asked = ["apt", *debian.packages, *loader]
    chosen = _chosen(recipe, apt, [*asked, *(f"{name}-" for name in debian.exclude)])
    packages = []
    for about in _stanzas(apt.text("apt-cache", "show", *chosen)):
        sha256 = about["SHA256"]
        if chosen[f"{about['Package']}={about['Version']}"] != sha256:
            continue  # another repository has other bytes by the same name
        important = about.get("Essential") == "yes" or about.get("Priority") in _PRIORITIES[debian.variant]
        packages.append(
            Package(
                name=about["Package"],
                version=about["Version"],
                arch=about["Architecture"],
                role=roles_of[sha256],
                asked=important or about["Package"] in asked,
                size=int(about["Size"]),
                sha256=sha256,
                filename=about["Filename"].removeprefix("./"),
            )
        )
    unique = {package.name: package for package in packages}
    return Lock(lockfile.request(recipe), _date(apt.folder / "lists"), tuple(unique[name] for name in sorted(unique)))


def _fields(name: str, text: str) -> list[str]:
    return re.findall(rf"^{name}: (.+)$", text, re.MULTILINE)


def _chosen(recipe: Recipe, apt: Apt, asked: Sequence[str]) -> dict[str, str]:
    """Return the packages that apt would install: "NAME=VERSION" -> SHA-256."""
    recommends = "true" if recipe.source.recommends else "false"
    patterns = ["?essential", *(f"?priority({each})" for each in _PRIORITIES[recipe.source.variant])]
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


def _check_names(recipe: Recipe, names: set[str], provided: set[str]) -> None:
    """Refuse packages that are in no repository, all at once."""
    from bootsmith.tasks.recipe.problems import near

    debian = recipe.source
    problems = []
    for key, asked in (("packages", debian.packages), ("exclude", debian.exclude)):
        for name in asked:
            if name in names or name in provided:
                continue
            alike = near(name, (each for each in names if each[:1] == name[:1] and abs(len(each) - len(name)) <= 3))
            todo = f"did you mean {alike}?" if alike else "add the component or repository that has it, or leave it out"
            what = f"{debian.suite} ({' '.join(debian.components)}) has no package {name}; {todo}"
            problems += _mistake(recipe, name, f"source.debian.{key}", what).problems
    if problems:
        raise RecipeError(problems)


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
