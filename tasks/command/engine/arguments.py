"""The words for doit itself, split by its own parser: its options from the names of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doit.cmd_base import DodoTaskLoader
from doit.cmdparse import CmdOption, CmdParse
from doit.doit_cmd import DoitMain


def commands() -> list[str]:
    """Return the names of doit's commands."""
    return [each.get_name() for each in DoitMain.DOIT_CMDS]


def parse(command: str, args: list[str]) -> tuple[Mapping[str, Any], list[str]]:
    """Split the options of one of doit's commands from its words."""
    kind = next(each for each in DoitMain.DOIT_CMDS if each.get_name() == command)
    options = [*getattr(kind, "base_options", ()), *DodoTaskLoader.cmd_options, *kind.cmd_options]
    found, words = CmdParse([CmdOption(each) for each in options]).parse(args)
    return found, list(words)
