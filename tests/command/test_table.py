"""The table of commands: what each line of it names is there."""

from __future__ import annotations

import inspect

import pytest
from bootsmith.tasks.command.command import Command, ImageCommand, TreeCommand, function
from bootsmith.tasks.command.table import COMMANDS, GROUPS


def named(command: Command) -> dict[str, int]:
    """Return the functions that a line names, and how many arguments each is given."""
    found = {command.run: 1}
    if isinstance(command, ImageCommand):
        found |= {command.check: 1, command.secrets: 2}
    if isinstance(command, TreeCommand):
        found |= {command.plan: 1, command.check: 1}
    return {name: count for name, count in found.items() if name}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_what_a_command_names_is_there(command: Command) -> None:
    """No command is listed that would end in a traceback: its functions are there, and take what they are given."""
    for name, count in named(command).items():
        inspect.signature(function(name)).bind(*range(count))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_stands_where_the_first_line_says(command: Command) -> None:
    """Who looks for what a command does finds its name in the first line of one file."""
    module = inspect.getmodule(function(command.run))
    assert module is not None
    names, _, _ = (module.__doc__ or "").partition(":")
    assert command.name in names.split(", ")


def test_no_name_is_given_twice() -> None:
    """A name means one command or one group of stages; an option of a command one thing."""
    names = [*GROUPS, *(command.name for command in COMMANDS)]
    assert len(names) == len(set(names))
    for command in COMMANDS:
        options = [param["long"] for param in command.params]
        assert len(options) == len(set(options)), command.name


def test_a_tree_is_named() -> None:
    """A command that builds of a tree takes the tree's name."""
    assert all(command.positional for command in COMMANDS if isinstance(command, TreeCommand))
