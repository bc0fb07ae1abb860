"""pacman with folders and a configuration of its own: the host's packages and settings are neither read nor changed.

It resolves, no more: what it is to know is fetched, and judged, by us.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bootsmith.tasks.errors import ToolFailed
from bootsmith.tasks.packages.arch.configuration import PACMAN
from bootsmith.tasks.tools import host, process
from bootsmith.tasks.tools.environment import ENVIRONMENT

if TYPE_CHECKING:
    from bootsmith.tasks.tools.process import Completed

_UNKNOWN: Final = re.compile(r"^error: target not found: (.+)$", re.MULTILINE)


class Chosen(NamedTuple):
    """A package that is to be installed."""

    repository: str
    name: str
    version: str


class Unknown(Exception):
    """No repository has packages of these names."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class Pacman:
    """pacman for a tree that has nothing yet, of these repositories, all its files below `folder`.

    Their databases are to be in `sync`, each as NAME.db.
    """

    def __init__(self, folder: Path, repositories: Sequence[str]) -> None:
        self.folder = folder
        self.sync = folder / "db/sync"
        for each in (self.sync, folder / "db/local", folder / "root", folder / "hooks"):
            each.mkdir(parents=True)
        self._repositories = repositories
        sections = "".join(f"[{name}]\nServer = file:///nonexistent\n" for name in repositories)
        (folder / "pacman.conf").write_text(PACMAN + sections)

    def resolve(self, names: Sequence[str]) -> list[Chosen]:
        """Return what packages of these names come to. Raises Unknown, ToolFailed."""
        done = self._run("-Sp", "--print-format", "%r %n %v", "--", *names)
        said = done.stderr.decode(errors="replace")
        if unknown := _UNKNOWN.findall(said):
            raise Unknown(unknown)
        if done.status:
            raise ToolFailed(
                f"{', '.join(names)} cannot be installed together", "Change source.arch.packages.", tail=said.strip()
            )
        return [
            Chosen(*words)
            for line in done.stdout.decode(errors="replace").splitlines()
            if len(words := line.split()) == 3 and words[0] in self._repositories
        ]

    def _run(self, *words: str) -> Completed:
        fixed: list[str | Path] = ["--noconfirm", "--config", self.folder / "pacman.conf"]
        fixed += ["--dbpath", self.folder / "db", "--root", self.folder / "root", "--hookdir", self.folder / "hooks"]
        fixed += ["--gpgdir", self.folder / "keys", "--logfile", self.folder / "log"]
        return process.run(
            [host.find("pacman"), *words[:1], *fixed, *words[1:]], env=ENVIRONMENT, cwd=self.folder, check=False
        )
