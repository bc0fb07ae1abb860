"""Where host programs are: in our own folders first, then in the user's PATH."""

from __future__ import annotations

import os
from pathlib import Path

from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools.environment import PATH
from bootsmith.tasks.tools.tool import Tool


def find(tool: Tool) -> Path:
    """Return the path of a host program or file, not resolved: some programs act by their name. Raises ToolMissing."""
    path = place(tool)
    if path is None:
        from bootsmith.tasks.tools.package_manager import install_command

        raise ToolMissing(f"{tool.name} is not installed", f"Install it: {install_command([tool])}")
    return path


def place(tool: Tool) -> Path | None:
    """Return the path of a host program or file; None where it is missing."""
    if not tool.files:
        return executable(tool.name, *tool.aliases)
    return next((Path(each) for each in tool.files if os.path.exists(each)), None)  # noqa: PTH110  as below


def executable(*names: str) -> Path | None:
    """Return the path of the first program found by one of its names, the first of them first; None where none is."""
    folders = f"{PATH}:{os.environ.get('PATH', '')}".split(":")
    for name in names:
        for folder in folders:
            path = f"{folder}/{name}"
            # a tenth of pathlib's time, and every no-op asks
            if folder.startswith("/") and os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
                return Path(path)
    return None
