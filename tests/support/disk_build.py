"""A recipe, a site and layers made by hand, on which the stages of disks and loaders run alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build.plan import in_order
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.site import Layer, Site
from bootsmith.tasks.planning.stages import assemble, bootloader, convert, partition, populate
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.tree import foreign_tar
from bootsmith.tasks.tree import layer as layer_files
from bootsmith.tasks.tree.layer import LayerWriter

from tests.support.single_stage import Before, run_stage
from tests.support.tar_members import EPOCH, write_tar

VERSION = "6.1.0-9-cloud-amd64"
SOURCE = "source: {debian: {suite: trixie, packages: [linux-image-cloud-amd64]}}\n"


class DiskBuild:
    """One build in a folder. Layers are laid on in the order they are added."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.layers: list[Layer] = []
        self.runs = 0
        self._earlier: dict[str, Before] = {}
        self.site = Site("box", folder / "build/box", folder / "box.lock", EPOCH)
        self.write_recipe(text)
        for path, data in ((self.site.kernel, b"MZ kernel" * 1000), (self.site.initrd, b"070701" * 5000)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        facts = {"version": VERSION, "pretty_name": "Debian GNU/Linux 13 (trixie)", "id": "debian"}
        self.site.kernel_facts.write_text(json.dumps(facts))

    def write_recipe(self, text: str) -> None:
        """Make the recipe another one; `text` follows the source."""
        file = self.folder / "box.yaml"
        file.write_text(SOURCE + text)
        self.recipe: Recipe = load(file)

    def own(self, entry: str, kernel: bytes, initrd: bytes | None = None, version: str = "6.9-mine") -> None:
        """Write the kernel of an entry of the menu, as its stage would have made it, and its initrd."""
        facts = {"version": version, "pretty_name": "Debian GNU/Linux 13 (trixie)", "id": "debian"}
        self.site.kernel_for(entry).parent.mkdir(parents=True, exist_ok=True)
        self.site.kernel_for(entry).write_bytes(kernel)
        self.site.kernel_facts_for(entry).write_text(json.dumps(facts))
        if initrd is not None:
            self.site.initrd_for(entry).write_bytes(initrd)

    def base(self, members: Mapping[str, Any]) -> None:
        """Make the base layer, in the order given: path -> file's bytes, or a TarInfo to complete."""
        self.site.base.tar.parent.mkdir(parents=True, exist_ok=True)
        write_tar(self.site.base.tar, members)
        foreign_tar.index(self.site.base.tar, self.site.base.index)

    @contextmanager
    def delta(self, name: str) -> Iterator[LayerWriter]:
        """Write a delta layer, a new one or in place of one of that name."""
        made = self.site.layer(name)
        made.tar.parent.mkdir(parents=True, exist_ok=True)
        if all(made.name != each.name for each in self.layers):
            self.layers.append(made)
        with LayerWriter(made.tar, made.index, EPOCH) as writer:
            yield writer

    def stages(self) -> dict[str, Stage]:
        """Return the stages of disk and boot, by name."""
        self.monkeypatch.setattr(layer_stack, "stack", lambda *_: (self.site.base, *self.layers))
        return {
            stage.name: stage
            for stage in (
                bootloader.stage(self.recipe, self.site),
                partition.stage(self.recipe, self.site),
                *populate.stages(self.recipe, self.site),
                assemble.stage(self.recipe, self.site),
                *convert.stages(self.recipe, self.site),
            )
        }

    def run(self, *names: str, patch: bool = False) -> None:
        """Run stages in the order given; with `patch`, each gets its own last output to change."""
        stages = self.stages()
        for name in names:
            stage, previous, earlier = stages[name], None, None
            self.runs += 1
            scratch = self.folder / f"scratch/{self.runs}"
            if patch and stage.carry:
                previous = self.folder / f"previous-{self.runs}"
                stage.outputs[stage.carry].rename(previous)
                known = self._earlier.get(name)
                earlier = known if known and known.is_of(previous) else None
            run_stage(stage, scratch, previous=previous, earlier=earlier)
            if stage.carry:
                self._earlier[name] = Before(stage)

    def loader_files(self) -> dict[str, bytes]:
        """Return the files of the loaders' layer, each below its partition's name."""
        made = self.site.loader
        entries = [entry for entry in layer_files.read_index(made.index) if entry.type == "f"]
        return {entry.path: layer_files.read_member(made.tar, entry) for entry in entries}

    def raw_disk(self, *, patch: bool = False) -> Path:
        """Run everything up to the raw disk and return it."""
        ours = ("bootloader", "partition", "populate", "assemble")
        stages = [stage for name, stage in self.stages().items() if name.partition("/")[0] in ours]
        self.run(*(stage.name for stage in in_order(stages)), patch=patch)
        return assemble.raw_disk(self.recipe, self.site)
