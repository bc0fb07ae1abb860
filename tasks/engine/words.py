"""A command line's words, split by doit's own parser: options from task names, and from a command's own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bootsmith.tasks.commands import Command
from bootsmith.tasks.errors import UsageError
from doit.cmd_base import DodoTaskLoader
from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.doit_cmd import DoitMain


def commands() -> list[str]:
    """Return the names of doit's commands."""
    return [each.get_name() for each in DoitMain.DOIT_CMDS]


def parse(command: str, args: list[str]) -> tuple[Mapping[str, Any], list[str]]:
    """Split the options of one of doit's commands from its words."""
    kind = next(each for each in DoitMain.DOIT_CMDS if each.get_name() == command)
    return _split([*getattr(kind, "base_options", ()), *DodoTaskLoader.cmd_options, *kind.cmd_options], args)


def after(params: Sequence[Mapping[str, Any]], args: list[str]) -> list[str]:
    """Return what follows a task's own options. Raises CmdParseError where they are wrong."""
    return _split(params, args)[1]


def after_known(command: Command, args: list[str]) -> list[str]:
    """Return what follows a command's own options; as it is where they are wrong, which doit says a little later."""
    try:
        return after(command.params, args)
    except CmdParseError:
        return args


def positional(command: Command, tail: Sequence[str]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return a positional command's options and words, as typed: doit would take a word holding `=` away."""
    found, words = _split(command.params, tail)
    try:
        _split(command.params, [word for word in tail if word.startswith("-") or "=" not in word])
    except CmdParseError as error:
        raise UsageError(
            f"{command.name}: {error}", "Write an option whose value holds `=` as --option=VALUE."
        ) from None
    return found, tuple(words)


def _split(options: Sequence[Mapping[str, Any]], args: Sequence[str]) -> tuple[Mapping[str, Any], list[str]]:
    found, words = CmdParse([CmdOption(each) for each in options]).parse(list(args))
    return found, list(words)
