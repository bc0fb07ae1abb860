"""What earlier builds left: outputs of stages that the plan no longer has, or that are called otherwise now."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from bootsmith.cache.files import sealed
from bootsmith.tasks.build.plan import Plan

KIND = "outputs 1"


def note(state: Path, plan: Plan) -> list[Path]:
    """Note what a plan makes; return what earlier ones made that it does not make, and that is there still."""
    made = {
        f"{path.relative_to(plan.build)}{'/' * stage.folders}"
        for stage in plan.stages
        for path in stage.outputs.values()
    }
    noted = _read(state)
    left = sorted(name for name in noted - made if _is_there(plan.build / name, folder=name.endswith("/")))
    if noted != made | {*left}:
        with suppress(OSError):  # the next run notes it
            sealed.write(state / "outputs", KIND, json.dumps(sorted(made | {*left})).encode())
    return [plan.build / name for name in left]


def _is_there(path: Path, *, folder: bool) -> bool:
    return path.is_dir() and not path.is_symlink() if folder else path.is_file()


def _read(state: Path) -> set[str]:
    return {*json.loads(sealed.read(state / "outputs", KIND) or b"[]")}
