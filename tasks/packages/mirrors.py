"""Mirrors: where a lock file's packages come from, by the recipe or by this host's own apt sources.

Which mirror is asked never shapes an output: packages are told by their SHA-256.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bootsmith.tasks.errors import StageError, ToolMissing

MAIN: Final = "main"
UPDATES: Final = "updates"
SECURITY: Final = "security"

_ALIASES: Final = ("stable", "oldstable", "oldoldstable", "testing")
_RELEASES: Final = ("stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke")
_ROLLING: Final = ("sid", "unstable", "experimental")  # neither updates nor a security archive
SUITES: Final = (*_RELEASES, *_ALIASES, *_ROLLING)


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of apt's source files: a URI, its suite and components."""

    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Per role, the base URIs to try in order, and apt's settings that reaching them needs (proxies, certificates)."""

    uris: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, str] = field(default_factory=dict)


def find(
    own: str | None,
    extras: Sequence[str] = (),
    etc: Path = Path("/etc/apt"),
    settings: Mapping[str, str] | None = None,
    *,
    key: str = "source.debian",
    distribution: str = "debian",
) -> Mirrors:
    """Return the mirrors for a recipe's packages. Raises StageError where neither recipe nor host names one.

    `own` is the recipe's mirror, named in the section `key`, `extras` the URIs of its further repositories; of which
    `distribution` they are, fetching is not always told: "". `settings` are apt's of this host, asked of apt-config
    when they are not given.
    """
    sources = tuple(host_sources(etc))
    named = _ARCHIVES.values() if not distribution else filter(None, [_ARCHIVES.get(distribution)])
    main = (own,) if own else tuple(uri for archives_of in named for uri in archives_of(sources))
    if not main:
        whose = distribution.capitalize() or "its distribution"
        raise StageError(
            f"no mirror of {whose} is known: the apt sources of this host ({etc}) name none",
            f"Set {key}.mirror to the URL of one.",
        )
    siblings = tuple(uri.rstrip("/") + "-security" for uri in main[:1])
    known = tuple(securities(sources))
    security = siblings + known if own else known or siblings
    if distribution != "debian":  # an Ubuntu has security updates on any mirror
        security = main if distribution == "ubuntu" else (*security, *main)
    uris = {MAIN: main, UPDATES: main, SECURITY: tuple(dict.fromkeys(security))}
    for number, uri in enumerate(extras, 1):
        uris[extra(number)] = (uri,)
    return Mirrors(uris, reach(apt_settings() if settings is None else settings, own_mirror=own is None))


def host_settings() -> Mapping[str, str]:
    """Return what apt's settings say of reaching any server; nothing on a host that has no apt."""
    try:
        return reach(apt_settings(), own_mirror=False)
    except ToolMissing:
        return {}


def extra(number: int) -> str:
    """Return the role of the recipe's further repository with this number, counted from 1."""
    return f"extra{number}"


def roles(suite: str, *, security: bool) -> dict[str, str]:
    """Return the roles of the distribution's own repositories, each with the name it gives this suite."""
    if suite in _ROLLING:
        return {MAIN: suite}
    found = {MAIN: suite, UPDATES: f"{suite}-updates"}
    if security:
        found[SECURITY] = f"{suite}/updates" if suite in ("stretch", "buster") else f"{suite}-security"
    return found


def archives(sources: Sequence[Source]) -> list[str]:
    """Return the URIs among a host's sources that are mirrors of Debian's main archive.

    Third parties name their suites after Debian's too: what counts is a path that says debian, or an `-updates` suite.
    """
    updated = {source.uri for source in sources if source.suite.removesuffix("-updates") in SUITES[: -len(_ROLLING)]
               and source.suite.endswith("-updates")}  # fmt: skip
    found = [
        source.uri
        for source in sources
        if source.suite in SUITES
        and MAIN in source.components
        and (source.uri in updated or "debian" in urlsplit(source.uri).path.split("/"))
    ]
    return list(dict.fromkeys(found))


def ubuntu_archives(sources: Sequence[Source]) -> list[str]:
    """Return the URIs among a host's sources that are mirrors of Ubuntu's archive, by their path."""
    found = [each.uri for each in sources if MAIN in each.components and "ubuntu" in urlsplit(each.uri).path.split("/")]
    return list(dict.fromkeys(found))


_ARCHIVES: Final[Mapping[str, Callable[[Sequence[Source]], list[str]]]] = {
    "debian": archives,
    "ubuntu": ubuntu_archives,
}


def securities(sources: Sequence[Source]) -> list[str]:
    """Return the URIs among a host's sources that are mirrors of Debian's security archive."""
    found = [
        source.uri
        for source in sources
        if re.sub("(-security|/updates)$", "", source.suite) in SUITES and source.suite not in SUITES
        and MAIN in source.components
    ]  # fmt: skip
    return list(dict.fromkeys(found))


# -- apt's source files


def host_sources(etc: Path) -> Iterator[Source]:
    """Yield the entries for binary packages of all source files below `etc`, in apt's order."""
    parts = etc / "sources.list.d"
    for path in [etc / "sources.list", *(sorted(parts.iterdir()) if parts.is_dir() else [])]:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        if path.suffix == ".list":
            yield from one_line(text)
        elif path.suffix == ".sources":
            yield from deb822(text)


def one_line(text: str) -> Iterator[Source]:
    """Yield the `deb` entries of a one-line style source file (sources.list(5))."""
    for line in text.splitlines():
        entry = re.match(r"deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)(.*)", line.partition("#")[0].strip())
        if entry:
            yield from _reachable([Source(entry[1], entry[2], tuple(entry[3].split()))])


def deb822(text: str) -> Iterator[Source]:
    """Yield the `deb` entries of a deb822 style source file."""
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(line for line in text.splitlines() if not line.startswith("#"))):
        fields = {
            name.strip().lower(): " ".join(value.split())
            for name, _, value in (part.partition(":") for part in re.split(r"\n(?![ \t])", stanza))
        }
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "without", "off", "disable", "0")
        if enabled and "deb" in fields.get("types", "").split():
            yield from _reachable(
                Source(uri, suite, tuple(fields.get("components", "").split()))
                for uri in fields.get("uris", "").split()
                for suite in fields.get("suites", "").split()
            )


def _reachable(sources: Iterable[Source]) -> Iterator[Source]:
    return (source for source in sources if _scheme(source.uri) in ("http", "https", "file", "copy"))


def _scheme(uri: str) -> str:
    """Return how a URI is reached, "" for what is none."""
    try:
        return urlsplit(uri).scheme
    except ValueError:
        return ""


# -- apt's settings

_REACH: Final = re.compile(r"Acquire::https?::.+")
_DATES: Final = ("Acquire::Check-Valid-Until", "Acquire::Check-Date")


def reach(settings: Mapping[str, str], *, own_mirror: bool) -> dict[str, str]:
    """Return of apt's settings those that reaching a mirror needs.

    Whether its dates are believed counts only for the host's own mirror: whoever froze that one has said so there.
    """
    return {
        name: value
        for name, value in settings.items()
        if value and (_REACH.fullmatch(name) or (own_mirror and name in _DATES))
    }


def parse_settings(dump: str) -> dict[str, str]:
    """Return what `apt-config dump` printed, list items left out."""
    return dict(re.findall(r'^([^ ]+[^: ]) "(.*)";$', dump, re.MULTILINE))


def apt_settings() -> dict[str, str]:
    """Return what apt of this host is told of reaching mirrors."""
    from bootsmith.tasks.tools import host, process
    from bootsmith.tasks.tools.environment import ENVIRONMENT

    done = process.run([host.find("apt-config"), "dump", "Acquire"], env=ENVIRONMENT, cwd=Path("/"), check=False)
    return parse_settings(done.stdout.decode(errors="replace"))


def proxies(settings: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Callable[[str], str | None]:
    """Return what tells a URL's proxy as apt does: the host's own setting, then the scheme's, then the environment."""

    def proxy(url: str) -> str | None:
        parts = urlsplit(url)
        scheme, name = parts.scheme, parts.hostname or ""
        for setting in (f"Acquire::{scheme}::Proxy::{name}", f"Acquire::{scheme}::Proxy", "Acquire::http::Proxy"):
            if setting in settings:
                return None if settings[setting] in ("DIRECT", "false") else settings[setting]
        spared = [each.strip().lstrip(".") for each in environ.get("no_proxy", "").split(",") if each.strip()]
        if any(each in ("*", name) or name.endswith(f".{each}") for each in spared):
            return None
        return environ.get(f"{scheme}_proxy") or None

    return proxy
