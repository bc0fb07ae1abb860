"""What package lists speak of: packages' names, names that others provide, and whose each content is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.packages.lockfile import Package
from bootsmith.tasks.packages.mirrors import UPDATES

if TYPE_CHECKING:
    from bootsmith.tasks.packages.apt import Apt, Repository

_FEW: Final = 20
"""Packages that are looked for in the lists one by one: for more, going through all of them once takes less."""


class Known:
    """The package lists of some repositories. They are 50 MB of text: what is not asked is not looked for."""

    def __init__(self, apt: Apt, repositories: Sequence[Repository]) -> None:
        self._apt = apt
        self._repositories = repositories
        self._looked = 0

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(name for _, text in self._lists for name in _fields("Package", text))

    @cached_property
    def provided(self) -> frozenset[str]:
        lines = (line for _, text in self._lists for line in _fields("Provides", text))
        return frozenset(each.split()[0] for line in lines for each in line.split(","))

    def package(self, about: Mapping[str, str], *, asked: bool) -> Package:
        """Return the package that a stanza is about."""
        return Package(
            name=about["Package"],
            version=about["Version"],
            arch=about["Architecture"],
            role=self._role(about["SHA256"]),
            asked=asked,
            size=int(about["Size"]),
            sha256=about["SHA256"],
            filename=about["Filename"].removeprefix("./"),
        )

    @cached_property
    def _lists(self) -> list[tuple[str, str]]:
        """The text of each list, and its repository's role."""
        return [(self._repositories[number].role, text) for number, text in self._apt.lists()]

    @cached_property
    def _files(self) -> list[tuple[str, bytes]]:
        """The same, as it is on disk."""
        return [(self._repositories[number].role, path.read_bytes()) for number, path in self._apt.list_files()]

    def _role(self, sha256: str) -> str:
        self._looked += 1
        if self._looked > _FEW:
            return self._roles[sha256]
        found = [role for role, data in self._files if data.find(f"\nSHA256: {sha256}\n".encode()) >= 0]
        return UPDATES if UPDATES in found else found[0]

    @cached_property
    def _roles(self) -> dict[str, str]:
        """Content -> role: the first's that has it, but for updates, which have it for longer."""
        found: dict[str, str] = {}
        for role, text in self._lists:
            listed = _fields("SHA256", text)
            found |= {sha256: role for sha256 in listed if role == UPDATES or sha256 not in found}
        return found


def _fields(name: str, text: str) -> list[str]:
    return re.findall(rf"^{name}: (.+)$", text, re.MULTILINE)
