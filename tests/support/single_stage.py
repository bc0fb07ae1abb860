"""Run one stage alone, without the engine: for tests of the stages themselves."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

from bootsmith.cache.digest.index import Index, index_of
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build import running
from bootsmith.tasks.build.indexes import NONE, Indexes
from bootsmith.tasks.build.stage import Stage


def run_stage(
    stage: Stage, work: Path, *, previous: Path | None = None, before: Mapping[str, Index] = NONE
) -> list[str]:
    """Run `stage`, leaving its outputs under their final names; return what it tells; it scratches in `work`.

    What it claims of its outputs is held against what they hold.
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
        indexes=Indexes(stage.inputs, previous, before=before),
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
