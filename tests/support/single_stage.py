"""Run one stage alone, without the engine: for tests of the stages themselves."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.index import Index, index_of
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build import running
from bootsmith.tasks.build.indexes import NONE, Indexes
from bootsmith.tasks.build.stage import Stage


@dataclass(frozen=True)
class Inputs:
    """What a stage's inputs held: their fingerprints, by role, and of layers' indexes the bytes, by fingerprint."""

    held: Mapping[str, str]
    kept: Mapping[str, bytes]

    @classmethod
    def of(cls, stage: Stage) -> Inputs:
        """Return what they hold now."""
        held = {role: fingerprint(path) for role, path in stage.inputs.items()}
        kept = {held[role]: path.read_bytes() for role, path in stage.inputs.items() if role.endswith(".index")}
        return cls(held, kept)

    def fetch(self, digest: str, path: Path) -> bool:
        """Write what had a fingerprint, as a store does."""
        if digest in self.kept:
            path.write_bytes(self.kept[digest])
        return digest in self.kept


def run_stage(
    stage: Stage,
    work: Path,
    *,
    previous: Path | None = None,
    before: Mapping[str, Index] = NONE,
    earlier: Inputs | None = None,
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
        indexes=Indexes(
            stage.inputs,
            previous,
            digests=Inputs.of(stage).held if earlier else {},
            held=earlier.held if earlier else {},
            before=before,
            fetch=earlier.fetch if earlier else None,
        ),
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
