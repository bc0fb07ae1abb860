"""Files that commands of the recipe's own make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Build:
    """A command that makes the file `output`, in a copy of the folder `dir` that holds its `inputs` alone.

    `dir` is never None once a recipe is resolved.

    `inputs` are files, folders and patterns. `scratch` are folders that are kept from one run to the next.
    """

    run: str | tuple[str, ...]
    inputs: tuple[Path, ...]
    output: str
    dir: Path | None
    env: Mapping[str, str]
    tools: tuple[str, ...]
    scratch: tuple[str, ...]
    network: bool

    @property
    def has_patterns(self) -> bool:
        """Whether what it reads may be another file next time."""
        return any(sign in str(path) for path in self.inputs for sign in "*?[")
