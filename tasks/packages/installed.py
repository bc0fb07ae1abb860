"""The packages that a tree has, as apt is told of them while it resolves what is to come on top."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bootsmith.tasks.packages.apt import Apt
    from bootsmith.tasks.packages.lockfile import LayerPackages, Package


NOTHING: Final[Mapping[str, str]] = {}


class Installed:
    """Packages by name; `control` gives the control file of one that no package list has any more.

    `records` are those of a tree that says itself what it has, by name: each with its state, as dpkg keeps them.
    """

    def __init__(
        self,
        apt: Apt,
        packages: Iterable[Package],
        control: Callable[[Package], bytes],
        records: Mapping[str, str] = NOTHING,
    ) -> None:
        self.apt = apt
        self.packages = {package.name: package for package in packages}
        self._records = dict(records)
        self._control = control
        self._stanzas: dict[str, str] = {}  # by SHA-256

    def change(self, layer: LayerPackages) -> None:
        """Let a layer come on top."""
        for name in layer.removed:
            self.packages.pop(name, None)
        self.packages |= {package.name: package for package in layer.packages}
        for name in (*layer.removed, *(package.name for package in layer.packages)):
            self._records.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self.packages or name in self._records

    def tell(self) -> None:
        """Have apt know what is installed."""
        self._look(package for package in self.packages.values() if package.sha256 not in self._stanzas)
        for package in self.packages.values():
            if package.sha256 not in self._stanzas:
                self._stanzas[package.sha256] = self._control(package).decode(errors="replace")
        stanzas = (self._stanzas[package.sha256].strip() for package in self.packages.values())
        found = [*self._records.values(), *(f"{stanza}\nStatus: install ok installed\n" for stanza in stanzas)]
        self.apt.take_for_installed("\n".join(found) or "\n")

    def _look(self, packages: Iterable[Package]) -> None:
        """Take from the lists what these say of packages."""
        names = sorted({package.name for package in packages})
        if not names:
            return
        done = self.apt.run("apt-cache", "show", *names)
        for stanza in done.stdout.decode(errors="replace").split("\n\n"):
            if told := re.search(r"^SHA256: (\w+)$", stanza, re.MULTILINE):
                kept = re.sub(
                    r"^(Filename|Size|SHA256|MD5sum|Description-md5|Status):.*\n?", "", stanza, flags=re.MULTILINE
                )
                self._stanzas[told[1]] = kept
