"""Run one stage alone, without the engine: for tests of the stages themselves."""

from __future__ import annotations

import importlib
from pathlib import Path

from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.build import running
from bootsmith.tasks.build.stage import Stage


def run_stage(stage: Stage, work: Path, *, previous: Path | None = None) -> list[str]:
    """Run `stage`, leaving its outputs under their final names; return what it tells; it scratches in `work`."""
    scratch = work / stage.name.replace("/", "-")
    (scratch / "scratch").mkdir(parents=True)
    outputs = {role: scratch / path.name for role, path in stage.outputs.items()}
    module, _, function = stage.run.partition(":")
    told: list[str] = []
    context = running.context(
        stage, outputs, scratch / "scratch", lambda: Store(default_root()), previous=previous, tell=told.append
    )
    getattr(importlib.import_module(module), function)(context)
    for role, path in stage.outputs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        outputs[role].replace(path)
    return told
