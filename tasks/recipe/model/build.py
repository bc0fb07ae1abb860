"""Files that commands of the recipe's own make."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
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
        return any(self.is_pattern(path) for path in self.inputs)

    def is_pattern(self, path: Path) -> bool:
        """Tell whether an input is a pattern: the folder that it runs in is none, whatever that is called."""
        return any(sign in self.place(path) for sign in "*?[")

    def place(self, path: Path) -> str:
        """Return where a file stands in the folder, "." for that itself, "../..." where it is elsewhere."""
        return os.path.relpath(os.path.normpath(path), os.path.normpath(str(self.dir)))

    def matched(self, path: Path) -> Iterator[Path]:
        """Yield what an input that is a pattern matches, in no order."""
        import glob

        top = os.path.normpath(str(self.dir))
        found = glob.iglob(self.place(path), root_dir=top, recursive=True, include_hidden=True)  # noqa: PTH207  hidden
        for each in found:
            yield Path(top, each)
