"""Run one stage alone, without the engine: for tests of the stages themselves."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.index import Index, index_of
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build import running
from bootsmith.tasks.build.indexes import NONE, Indexes
from bootsmith.tasks.build.stage import Folders, Stage

if TYPE_CHECKING:
    from bootsmith.cache.digest.tree import TreeLook
    from bootsmith.tasks.build.earlier import Earlier


class Before:
    """What a stage's inputs and its other outputs held, as the engine knows of `Earlier`: of files those of layers."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._held: dict[str, str] = {}
        self._folders: dict[str, dict[str, str]] = {}
        for role, path in stage.inputs.items():
            self._held[role], self._folders[role] = _look(path)
        indexes = {role: path for role, path in stage.inputs.items() if role.endswith(".index")}
        self._inputs = {role: path.read_bytes() for role, path in indexes.items()}
        self._outputs = {role: path.read_bytes() for role, path in stage.outputs.items() if role != stage.carry}
        self._carried = fingerprint(stage.outputs[stage.carry]) if stage.carry else ""

    def is_of(self, previous: Path) -> bool:
        """Tell whether a previous output holds what it held: the engine knows nothing of another's inputs."""
        return fingerprint(previous) == self._carried

    def stays(self, role: str) -> bool:
        """Tell whether an input holds what it held."""
        return role in self._held and self._held[role] == fingerprint(self._stage.inputs[role])

    def input(self, role: str) -> bytes | None:
        """Return what an input held."""
        return self._inputs.get(role)

    def output(self, role: str) -> bytes | None:
        """Return what an output held."""
        return self._outputs[role]

    def folders(self, role: str) -> Folders | None:
        """Return what an input's folders held and hold."""
        return Folders(self._folders[role], _look(self._stage.inputs[role])[1])


def _look(path: Path) -> tuple[str, dict[str, str]]:
    looks: list[TreeLook] = []
    return fingerprint(path, looks=looks), looks[0].folders() if looks else {}


def run_stage(
    stage: Stage,
    work: Path,
    *,
    previous: Path | None = None,
    before: Mapping[str, Index] = NONE,
    earlier: Before | None = None,
) -> list[str]:
    """Run `stage`, leaving its outputs under their final names; return what it tells; it scratches in `work`.

    `previous` was made of what `earlier` has. What the stage claims of its outputs is held against what they hold.
    """
    scratch = work / stage.name.replace("/", "-")
    (scratch / "scratch").mkdir(parents=True)
    outputs = {role: scratch / path.name for role, path in stage.outputs.items()}
    module, _, function = stage.run.partition(":")
    told: list[str] = []
    context = running.context(
        stage,
        outputs,
        scratch / "scratch",
        lambda: Store(default_root()),
        previous=previous,
        indexes=Indexes(stage.inputs, previous, before=before, earlier=cast("Earlier | None", earlier)),
        tell=told.append,
    )
    getattr(importlib.import_module(module), function)(context)
    for role, claimed in context.indexes.claimed.items():
        with outputs[role].open("rb") as file:
            assert claimed.content == index_of(file.fileno()).content, f"{stage.name}: {role} holds what is not claimed"
    for role, path in stage.outputs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        outputs[role].replace(path)
    return told
