"""The frozen Recipe: one image, every default, parent and variable filled in.

Sizes are bytes, times seconds, modes integers, paths absolute. A field's name is its key in YAML, here and beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bootsmith.tasks.recipe.model.archive import Archive
from bootsmith.tasks.recipe.model.boot import Boot
from bootsmith.tasks.recipe.model.build import Build
from bootsmith.tasks.recipe.model.disk import Disk
from bootsmith.tasks.recipe.model.layers import LayerSpec
from bootsmith.tasks.recipe.model.machine import Machine, Test
from bootsmith.tasks.recipe.model.outputs import OutputSpec
from bootsmith.tasks.recipe.model.source import Directory, Source
from bootsmith.tasks.recipe.model.system import System
from bootsmith.tasks.recipe.model.tree_outputs import KINDS as TREES


@dataclass(frozen=True, slots=True)
class Verify:
    """What `verify` demands beyond what the recipe says elsewhere; `min_free` in bytes, None for some.

    `skip` are checks by name.
    """

    min_free: int | None
    skip: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image. `file` is the YAML it came from, `files` every file that was read for it (parents too).

    `choices` tells of each file that was chosen from several which one it is: a recipe read again may choose otherwise.
    """

    file: Path
    files: tuple[Path, ...]
    profile: str | None
    name: str
    description: str
    version: str
    arch: Literal["amd64", "i386"]
    seed: str
    epoch: int | None
    build: Mapping[str, Build]
    source: Source
    archive: Archive
    layers: tuple[LayerSpec, ...]
    system: System | Literal["none"]
    disk: Disk
    boot: Boot
    outputs: tuple[OutputSpec, ...]
    machine: Machine
    test: Test
    verify: Verify | Literal["off"]
    choices: tuple[str, ...] = field(default=(), compare=False)
    others: Mapping[Path, Recipe] = field(default_factory=dict)
    """The recipes whose trees or outputs this one takes, by their files."""

    @property
    def above(self) -> dict[Path, Recipe]:
        """All recipes that it is made of, those that these are made of among them, by their files."""
        found: dict[Path, Recipe] = {}
        for file, other in self.others.items():
            found |= {file: other, **other.above}
        return found

    @property
    def keeps_trees(self) -> bool:
        """Whether all that is kept of it is its tree: nothing of it need boot."""
        return bool(self.outputs) and all(isinstance(each, TREES) for each in self.outputs)

    @property
    def bootless(self) -> bool:
        """Whether nothing of it is to boot, such as of a container: only its tree is kept, and no kernel is wanted."""
        return self.keeps_trees and all(each.kernel == "none" for each in self.boot.entries.values())

    @property
    def volatile(self) -> bool:
        """Whether its plan may be another next time though its text is the same: by what is there, whose, of when."""
        source = self.source
        if self.others:  # and their lock files, too, say what is to be made
            return True
        varies = bool(self.choices) or any(each.has_patterns for each in self.build.values())
        return varies or (isinstance(source, Directory) and "keep" in (source.owner, source.times))
