"""A command line as bootsmith reads it."""

from __future__ import annotations

import pytest
from bootsmith.tasks import invocation
from bootsmith.tasks.errors import UsageError


def read(*argv: str) -> invocation.Invocation:
    """Read a command line whose only option is -a."""

    def parse(_command: str, args: list[str]) -> tuple[dict[str, bool], list[str]]:
        return {"always": "-a" in args}, [word for word in args if word != "-a"]

    return invocation.read(argv, commands=["run", "list", "info"], positional=["run-uefi"], parse=parse)


def test_words_without_a_command_run() -> None:
    """`doit image` is `doit run image`."""
    assert read("image").runs
    assert read("run", "image") == read("image")
    assert not read("list").runs


def test_variables_stand_anywhere_before_a_tail() -> None:
    """VAR=VALUE words are variables, wherever they stand among tasks that take no positional words."""
    found = read("disk.size=64G", "-a", "image", "boot.cmdline+=debug")
    assert found.variables == {"disk.size": "64G", "boot.cmdline+": "debug"}
    assert found.words == ("image",)
    assert found.options == {"always": True}


def test_a_value_may_hold_an_equals_sign() -> None:
    """Only the first `=` separates: boot.cmdline=a=b."""
    assert read("boot.cmdline=a=b", "image").variables == {"boot.cmdline": "a=b"}


def test_the_tail_of_a_positional_task_is_kept_as_typed() -> None:
    """A file whose name holds `=` is a file, not a variable."""
    found = read("machine.cpus=4", "run-uefi", "--memory", "2G", "disk=1.img")
    assert found.tail == ("--memory", "2G", "disk=1.img")
    assert found.variables == {"machine.cpus": "4"}


def test_reserved_variables_are_ours() -> None:
    """`recipe=` and `profile=` choose a recipe; they are not its variables."""
    found = read("recipe=x.yaml", "profile=debug", "image")
    assert found.reserved == {"recipe": "x.yaml", "profile": "debug"}
    assert found.variables == {}


def test_a_variable_given_twice_is_refused() -> None:
    """Which one is meant cannot be known."""
    with pytest.raises(UsageError, match=r"disk[.]size is given twice"):
        read("disk.size=1G", "disk.size=2G", "image")


def test_near_names() -> None:
    """A misspelt word is answered with what it may have meant."""
    assert invocation.nearest("imgae", ["image", "kernel"]) == "Did you mean image?"
    assert "doit list" in invocation.nearest("zzz", ["image", "kernel"])
