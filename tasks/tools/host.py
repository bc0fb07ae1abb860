"""This host: which of the programs and files in the catalogue it has, and where.

Needs nothing beyond the standard library: the wrapper asks before there is a virtual environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools import programs
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tools.tool import Tool


def find(name: str) -> Path:
    """Return the path of a host program or file, not resolved: some programs act by their name. Raises ToolMissing."""
    tool = TOOLS.get(name)
    if tool is not None:
        return programs.find(tool)
    path = programs.executable(name)
    if path is None:
        raise ToolMissing(f"{name} is not installed", "Run `doit tools` to see what to install.")
    return path


def missing(names: Iterable[str] = tuple(TOOLS)) -> list[Tool]:
    """Return those of the named tools that this host has not."""
    return [TOOLS[name] for name in names if not programs.place(TOOLS[name])]
