"""The page of commands and the environment: held to the table of commands, and to what the code reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from bootsmith.tasks.command import commands_page
from bootsmith.tasks.command.command import Command
from bootsmith.tasks.command.table import COMMANDS, GROUPS

from tests.support.checkout import CHECKOUT

TEXT = (CHECKOUT / "docs/reference/commands.md").read_text()
HANDED_ON = {"ftp_proxy", "all_proxy"}  # to apt, as a list tells
NOT_READ = {"TMPDIR"}  # by Python's own tempfile


def test_the_page_follows_from_the_table() -> None:
    """`python -m bootsmith.tasks.command.commands_page` writes it again."""
    assert commands_page.page(TEXT) == TEXT


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_on_the_page(command: Command) -> None:
    """With what it does, and each option once: its own below it, or with those that others have too."""
    section = re.split(r"\n##", TEXT.partition(f"### `{command.name}`")[2])[0]
    assert command.doc in section
    shared = [re.split(r"\n##", TEXT.partition(f"## {title}\n")[2])[0] for title in commands_page.SHARED]
    for param in command.params:
        line = f"--{param['long']}{'' if param['type'] is bool else ' VALUE'}`: {param['help']}\n"
        assert section.count(line) == 1 or sum(each.count(line) for each in shared) == 1


def test_every_group_is_on_the_page() -> None:
    """With what it stands for."""
    assert [name for name, doc in GROUPS.items() if f"- `{name}`: {doc}\n" not in TEXT] == []


def read_variables() -> Iterator[str]:
    """Yield the names that the house takes out of the environment."""
    for path in (each for room in ("tasks", "cache") for each in (CHECKOUT / room).rglob("*.py")):
        source = path.read_text()
        yield from re.findall(r"\bBOOTSMITH_\w+", source)
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str() as name), *_]
                ):
                    pass
                case ast.Subscript(value=value, slice=ast.Constant(value=name)):
                    pass
                case ast.Compare(left=ast.Constant(value=name), comparators=[value]):
                    pass
                case ast.JoinedStr(values=[_, ast.Constant(value="_proxy")]):
                    yield from ("http_proxy", "https_proxy")
                    continue
                case _:
                    continue
            if ast.unparse(value) in ("environ", "os.environ"):
                yield str(name)


def test_every_variable_of_the_environment_is_on_the_page() -> None:
    """What is read is told, and what is told is read."""
    table = TEXT.partition("| variable | says |")[2].partition("\n\n")[0]
    told = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    read = {*read_variables()} | {"DOIT_FILE", "DOIT_SEEK_FILE"}  # see test_remembered_dodo.py
    assert read
    assert told == read - HANDED_ON | NOT_READ
