"""The words for doit itself, split by its own parser: its options from the names of tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bootsmith.tasks.command import invocation
from bootsmith.tasks.command.table import COMMANDS
from bootsmith.tasks.errors import UsageError
from doit.cmd_base import DodoTaskLoader
from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.doit_cmd import DoitMain


def commands() -> list[str]:
    """Return the names of doit's commands."""
    return [each.get_name() for each in DoitMain.DOIT_CMDS]


def read(argv: Sequence[str]) -> invocation.Invocation:
    """Return the meaning of a command line without the program's name. Raises UsageError."""
    asked = invocation.read(
        _without_leading_options(argv),
        commands=commands(),
        positional=[command.name for command in COMMANDS if command.positional],
        parse=parse,
    )
    if asked.command == "dumpdb":  # which knows databases of another kind only
        raise UsageError("dumpdb: doit's database holds nothing here", "`doit explain` tells what is fresh, and why.")
    return asked


def parse(command: str, args: list[str]) -> tuple[Mapping[str, Any], list[str]]:
    """Split the options of one of doit's commands from its words. Raises UsageError."""
    kind = next(each for each in DoitMain.DOIT_CMDS if each.get_name() == command)
    options = [*getattr(kind, "base_options", ()), *DodoTaskLoader.cmd_options, *kind.cmd_options]
    try:
        found, words = CmdParse([CmdOption(each) for each in options]).parse(args)
    except CmdParseError as error:
        value = re.match(r"Error parsing parameter '(\w+)'", str(error))
        if value:  # only a number can be none
            what = f"--{next(each['long'] for each in options if each['name'] == value[1])} takes a number"
        else:
            what = re.sub(r"^Error parsing \w+: | \(parsing options: .*", "", str(error), flags=re.DOTALL)
        raise UsageError(f"{command}: {what}", f"`doit help {command}` shows its options.") from None
    return found, list(words)


def _without_leading_options(argv: Sequence[str]) -> list[str]:
    """Return a command line without the options that doit takes before one of its commands: where a dodo.py is."""
    try:
        _, words = CmdParse([CmdOption(each) for each in DodoTaskLoader.cmd_options]).parse_only(list(argv))
    except CmdParseError:
        return list(argv)  # another option stands first, and so no command behind it
    return list(words) if words and words[0] in commands() else list(argv)
