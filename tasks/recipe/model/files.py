"""Files that a recipe takes: of the host, out of a distribution's package, or made by a command of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file out of a distribution's package, or out of one that it depends on exactly (`=`).

    `path` is a pattern; `suite` and `arch` are never None once a recipe is resolved. `security` says whether its
    security updates are taken. `instead_of` are the files that were looked for before: none of them is there.
    """

    package: str
    path: str
    suite: str | None
    arch: str | None
    security: bool = True
    instead_of: tuple[Path, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """What a lock file calls the packages it may come out of."""
        return f"{self.package}/{self.suite}/{self.arch}"


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """The file that a build of the recipe makes, by the build's name."""

    build: str


@dataclass(frozen=True, slots=True)
class RecipeOutput:
    """The output of a format that another recipe makes, the first of several; `recipe` is its file."""

    recipe: Path
    output: str


@dataclass(frozen=True, slots=True)
class WebFile:
    """The file at a URL whose content has this SHA-256."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """What it is called, of signs that any place can have; by its content where the URL says nothing of it."""
        return re.sub(r"[^A-Za-z0-9._-]", "", self.url.partition("?")[0].rpartition("/")[2]).lstrip(".") or "file"


File: TypeAlias = Path | PackageFile | BuiltFile | RecipeOutput | WebFile
