"""The packages that a tree says it has: by dpkg's records, Alpine's or pacman's. Nothing in a tree is trusted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree

_STATUS: Final = "var/lib/dpkg/status"
_PARTS: Final = "var/lib/dpkg/status.d"
"""Where trees without dpkg itself have a record for each package."""
_ALPINE: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_PACMAN: Final = "var/lib/pacman/local"
_NAME: Final = re.compile(r"[A-Za-z0-9@_][A-Za-z0-9@._+-]{0,199}")
_VERSION: Final = re.compile(r"[!-~]{1,200}")


class Installed(NamedTuple):
    """One package; `kind` is deb, apk or alpm, as package URLs have it.

    `depends` are names, where one of several will do those of each; `provides` are further names that it goes by.
    """

    kind: str
    name: str
    version: str
    arch: str
    source: str = ""
    maintainer: str = ""
    summary: str = ""
    homepage: str = ""
    depends: tuple[tuple[str, ...], ...] = ()
    provides: tuple[str, ...] = ()


def read(tree: Tree) -> list[Installed]:
    """Return the packages of a tree, by name; none where it has no record of any."""
    found = [each for each in _all(tree) if _NAME.fullmatch(each.name) and _VERSION.fullmatch(each.version)]
    return sorted(dict.fromkeys(found), key=lambda each: (each.name, each.arch, each.version, each.kind))


def _all(tree: Tree) -> Iterator[Installed]:
    texts = [tree.text(_STATUS) or ""]
    texts += [tree.text(f"{_PARTS}/{name}") or "" for name in tree.names(_PARTS) if not name.endswith(".md5sums")]
    for text in texts:
        for fields in _stanzas(text):
            if fields.get("Status", "install ok installed").endswith(" installed"):
                yield _of_dpkg(fields)
    for path in _ALPINE:
        for lines in (tree.text(path) or "").split("\n\n"):
            yield _of_alpine(dict(line.split(":", 1) for line in lines.splitlines() if line[1:2] == ":"))
    for name in tree.names(_PACMAN):
        yield _of_pacman(_sections(tree.text(f"{_PACMAN}/{name}/desc") or ""))


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each stanza; of one that goes on in further lines, the first."""
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            yield fields


def _of_dpkg(fields: Mapping[str, str]) -> Installed:
    name, version = fields["Package"], fields.get("Version", "")
    source, _, its = fields.get("Source", name).partition(" ")
    wanted = ", ".join(fields[key] for key in ("Pre-Depends", "Depends") if fields.get(key))
    return Installed(
        "deb",
        name,
        version,
        fields.get("Architecture", ""),
        f"{source} {its.strip('()') or version}",
        fields.get("Maintainer", ""),
        fields.get("Description", ""),
        fields.get("Homepage", ""),
        tuple(tuple(map(_bare, one.split("|"))) for one in wanted.split(",") if one.strip()),
        tuple(_bare(each) for each in fields.get("Provides", "").split(",") if each.strip()),
    )


def _bare(word: str) -> str:
    """Return a name without the version or the machine that is asked of it."""
    return re.split(r"[\s(:<>=~]", word.strip(), maxsplit=1)[0]


def _of_alpine(fields: Mapping[str, str]) -> Installed:
    names = [_bare(word) for word in fields.get("D", "").split() if not word.startswith("!")]
    return Installed(
        "apk",
        fields.get("P", ""),
        fields.get("V", ""),
        fields.get("A", ""),
        f"{fields.get('o', fields.get('P', ''))} {fields.get('V', '')}",
        fields.get("m", ""),
        fields.get("T", ""),
        fields.get("U", ""),
        tuple((each,) for each in names),
        tuple(re.split(r"[=<>~]", each, maxsplit=1)[0] for each in fields.get("p", "").split()),
    )


def _sections(text: str) -> dict[str, list[str]]:
    found = re.findall(r"^%([A-Z]+)%\n((?:.+\n?)*)", text, re.MULTILINE)
    return {key: value.splitlines() for key, value in found}


def _of_pacman(sections: Mapping[str, list[str]]) -> Installed:
    def one(key: str) -> str:
        return next(iter(sections.get(key, ())), "")

    return Installed(
        "alpm",
        one("NAME"),
        one("VERSION"),
        one("ARCH"),
        f"{one('BASE') or one('NAME')} {one('VERSION')}",
        one("PACKAGER"),
        one("DESC"),
        one("URL"),
        tuple((_bare(each),) for each in sections.get("DEPENDS", ())),
        tuple(_bare(each) for each in sections.get("PROVIDES", ())),
    )
