"""An output that is one file: what most outputs have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OneFile:
    """An output that is one file."""

    file: str

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are kept."""
        return (self.file,)
