"""systemd's units in a tree: found by name, enabled, disabled and masked as links (systemd.unit(5), systemctl(1))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from bootsmith.cache.display import shown
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.accounts import near
from bootsmith.tasks.tree.merged import Tree

ETC: Final = "etc/systemd/system"
VENDOR: Final = ("usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
NOTHING: Final = "dev/null"
_SUFFIX: Final = re.compile(r"\.(service|socket|target|timer|path|mount|automount|swap|slice|scope)$")
_NAME: Final = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}")
"""What a unit can be called (systemd.unit(5)); it becomes a file's name."""
_INSTALLS: Final = (("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds"))


class Unit(NamedTuple):
    """A unit: its own name (no alias), its file in the tree, its instance ("" where it is no instance)."""

    name: str
    path: str
    instance: str

    def expand(self, text: str) -> str:
        """Return the text with the specifiers that stand in [Install] sections filled in."""
        prefix = self.name.partition("@")[0] if "@" in self.name else self.name.rpartition(".")[0]
        known = {"%i": self.instance, "%I": self.instance, "%p": prefix, "%n": self.name, "%%": "%"}
        return re.sub("%[iIpn%]", lambda found: known[found[0]], text)


def full_name(name: str) -> str:
    """Return a unit's name with its suffix; a service's may be left out."""
    return name if _SUFFIX.search(name) else f"{name}.service"


def template_of(name: str) -> tuple[str, str]:
    """Return the template that a unit is an instance of and the instance; the name itself and "" where it is none."""
    found = re.fullmatch(r"([^@]+)@([^@]+)(\.\w+)", name)
    return (f"{found[1]}@{found[3]}", found[2]) if found else (name, "")


def installs(text: str) -> dict[str, list[str]]:
    """Return the [Install] section of a unit file: words by key, as repeated keys and empty ones add up."""
    found: dict[str, list[str]] = {}
    section = ""
    for raw in re.sub(r"\\\n", " ", text).splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line
        elif section == "[Install]" and "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            words = found.setdefault(key.strip(), [])
            if not value.strip():
                words.clear()
            words += value.split()
    return found


class Units:
    """The units of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def find(self, name: str) -> Unit:
        """Return the unit of a name or alias; .service may be left out. Raises StageError with near names."""
        wanted = full_name(name)
        found = self._look_up(wanted) or self._by_alias(wanted)
        if found is None and self._tree.resolve(f"{ETC}/{wanted}") == NOTHING:
            raise StageError(
                f"system.services: {wanted} is masked in the tree",
                f"Remove /{ETC}/{wanted} in a layer, or leave it out.",
            )
        if found is None:
            raise StageError(
                f"system.services: the tree has no unit {wanted}{near(wanted, self._known())}",
                "Name a unit that it has, or add the package that brings it.",
            )
        return found

    def enable(self, name: str) -> dict[str, str]:
        """Return the links that enable a unit and what it enables with it: path -> target. Raises StageError."""
        links: dict[str, str] = {}
        waiting, seen = [self.find(name)], set()
        while waiting:
            unit = waiting.pop()
            if unit in seen:
                continue
            seen.add(unit)
            section = installs(self._tree.text(unit.path) or "")
            made = self._links(unit, section)
            if not made and not section.get("Also") and len(seen) == 1:
                raise StageError(
                    f"system.services: {unit.name} cannot be enabled: it says nowhere what starts it ([Install])",
                    "Others start it, or it runs anyway. Leave it out, or bring a unit file with WantedBy=.",
                )
            links |= made
            also = (self._look_up(full_name(self._named(unit, other))) for other in section.get("Also", []))
            waiting += [other for other in also if other]
        return links

    def disable(self, name: str) -> list[str]:
        """Return the links to remove so that a unit is not started by itself."""
        unit = self.find(name)
        names = {unit.name, full_name(name)}
        found = []
        for folder in self._tree.names(ETC):
            if re.search(r"\.(wants|requires|upholds)$", folder):
                inside = self._tree.names(f"{ETC}/{folder}")
                found += [f"{ETC}/{folder}/{link}" for link in inside if link in names]
        return found + self._aliases(unit)

    def mask(self, name: str) -> str:
        """Return the path that must be a link to /dev/null for a unit never to start. Raises StageError."""
        unit = self.find(name)
        path = f"{ETC}/{unit.name}"
        entry = self._tree.link(path)
        if entry and entry.type != "l":
            raise StageError(
                f"system.services: {unit.name} cannot be masked: its own file is /{path}",
                "Move that file to /usr/lib/systemd/system, or remove it.",
            )
        return path

    def _links(self, unit: Unit, section: Mapping[str, list[str]]) -> dict[str, str]:
        target = f"/{unit.path}"
        name = unit.name
        if "@." in name:
            defaults = section.get("DefaultInstance", [])
            if not defaults:
                raise StageError(
                    f"system.services: {name} is a template", f"Name an instance: {name.replace('@.', '@NAME.')}."
                )
            name = self._named(unit, name.replace("@.", f"@{unit.expand(defaults[-1])}."))
            unit = Unit(name, unit.path, template_of(name)[1])
        links = {f"{ETC}/{self._named(unit, alias)}": target for alias in section.get("Alias", [])}
        for key, kind in _INSTALLS:
            links |= {f"{ETC}/{full_name(self._named(unit, by))}.{kind}/{name}": target for by in section.get(key, [])}
        return links

    def _named(self, unit: Unit, word: str) -> str:
        """Return the unit that another's [Install] names. Raises StageError for what is no unit's name."""
        name = unit.expand(word)
        if not _NAME.fullmatch(full_name(name)):
            raise StageError(
                f"system.services: {shown(unit.name)} cannot be enabled: its [Install] names what is no unit: "
                f"{shown(name)}",
                f"Mend /{shown(unit.path)} in a layer, or leave it out.",
            )
        return name

    def _look_up(self, name: str) -> Unit | None:
        template, instance = template_of(name)
        for candidate in dict.fromkeys((name, template)):
            for folder in (ETC, *VENDOR):
                path = f"{folder}/{candidate}"
                place = self._tree.resolve(path)
                if place == NOTHING:
                    return None  # masked
                entry = self._tree.find(path)
                if entry is None or entry.type not in "fh":  # a link that leads nowhere is no unit
                    continue
                real = place.rpartition("/")[2]
                return Unit(real.replace("@.", f"@{instance}.") if instance else real, place, instance)
        return None

    def _by_alias(self, name: str) -> Unit | None:
        """Return the unit that would have this name once it is enabled."""
        for known in self._known():
            unit = self._look_up(known)
            if unit and name in installs(self._tree.text(unit.path) or "").get("Alias", []):
                return unit
        return None

    def _aliases(self, unit: Unit) -> list[str]:
        links = (f"{ETC}/{name}" for name in self._tree.names(ETC) if name != unit.name)
        return [link for link in links if self._is_link_to(link, unit.path)]

    def _is_link_to(self, link: str, path: str) -> bool:
        entry = self._tree.link(link)
        return entry is not None and entry.type == "l" and self._tree.resolve(link) == path

    def _known(self) -> Iterator[str]:
        for folder in (ETC, *VENDOR):
            yield from (name for name in self._tree.names(folder) if _SUFFIX.search(name))
