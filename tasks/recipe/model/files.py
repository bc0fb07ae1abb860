"""Files that a recipe takes: of the host, or out of a distribution's package."""

from __future__ import annotations

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


File: TypeAlias = Path | PackageFile
