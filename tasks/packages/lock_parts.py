"""The lock file in parts: what the tree begins with, and what each layer adds, so that each is made again by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context

BASE: Final = "base"
"""The role of the part that the tree begins with; the others have the name of a layer behind `LAYER`."""
LAYER: Final = "layer/"


def run(ctx: Context) -> None:
    """Write the parts."""
    from bootsmith.tasks.packages import lockfile

    lock = lockfile.read(ctx.inputs["lock"])
    for role, path in ctx.outputs.items():
        part = lockfile.part(lock, None if role == BASE else role.removeprefix(LAYER))
        path.write_text(lockfile.to_text(part), encoding="utf-8")
