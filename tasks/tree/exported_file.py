"""The outputs that are no disk: kernel and initrd, each as a file."""

from __future__ import annotations

import shutil

from bootsmith.tasks.build.stage import Context


def run(ctx: Context) -> None:
    """Copy a file."""
    shutil.copyfile(ctx.inputs["file"], ctx.outputs["copy"])
