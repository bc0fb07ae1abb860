"""Commands about disk images, and which image a command means."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.tasks.errors import UsageError

if TYPE_CHECKING:
    from bootsmith.tasks.commands import Request


def inspect(request: Request) -> None:
    """Print what an image holds, without mounting it."""
    from bootsmith.tasks.disk import inspect as inspection

    found = inspection.inspect(disk(request))
    as_json = request.options["json"]
    request.session.progress.tell(
        json.dumps(inspection.to_json(found), indent=2) if as_json else inspection.to_text(found)
    )


def disk(request: Request) -> Path:
    """Return the disk image a command is about: the file named, else the recipe's raw disk."""
    if request.words:
        if len(request.words) > 1:
            raise UsageError(f"one image, not {len(request.words)}: {shlex.join(request.words)}", "Name one file.")
        return request.session.shell / request.words[0]
    plan = request.session.builder(request.recipe).plan
    try:
        return plan.stage("assemble").outputs["disk"]
    except KeyError:
        raise UsageError(f"{plan.site.name} has no disk", "Name a disk image, or another recipe.") from None
