"""A command line as bootsmith reads it."""

from __future__ import annotations

from typing import Any

import pytest
from bootsmith.tasks.command import invocation
from bootsmith.tasks.command.command import option
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


def test_home_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """`boot.kernel=~/linux/bzImage` means the home directory in any shell; nothing else is expanded."""
    monkeypatch.setenv("HOME", "/home/me")
    found = read("boot.kernel=~/linux/bzImage", "a=~", "b=~me/x", "c=x~/y", "image").variables
    assert found == {"boot.kernel": "/home/me/linux/bzImage", "a": "~", "b": "~me/x", "c": "x~/y"}
    monkeypatch.delenv("HOME")
    assert read("a=~/x", "image").variables == {"a": "~/x"}


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


def test_what_follows_a_positional_task_is_no_task() -> None:
    """Its words are told apart from the tasks', and whose they are is known."""
    found = read("image", "run-uefi:lites", "image", "--memory", "2G")
    assert found.words == ("image", "run-uefi:lites")
    assert found.taker == "run-uefi:lites"
    assert read("image").taker == ""


PARAMS = (option("memory", ""), option("gdb", "", kind=bool), option("number", "", short="n"), option("age", ""))
NOTHING = {"memory": None, "gdb": False, "number": None, "age": None}


@pytest.mark.parametrize(
    ("typed", "options", "words"),
    [
        ("", {}, ""),
        ("disk.img", {}, "disk.img"),
        ("--memory 2G disk.img", {"memory": "2G"}, "disk.img"),
        ("disk.img --memory 2G", {"memory": "2G"}, "disk.img"),
        ("disk.img --memory=2G --gdb", {"memory": "2G", "gdb": True}, "disk.img"),
        ("--gdb disk.img --memory 2G", {"memory": "2G", "gdb": True}, "disk.img"),
        ("a --gdb b -n 5 c", {"gdb": True, "number": "5"}, "a b c"),
        ("a -n5 b=c --memory x=y", {"number": "5", "memory": "x=y"}, "a b=c"),
        ("a --memory=", {"memory": ""}, "a"),
        ("a --mem 2G", {"memory": "2G"}, "a"),
        ("a --memory 1G --memory 2G", {"memory": "2G"}, "a"),
        ("a -- --gdb", {}, "a --gdb"),
        ("-- --gdb --", {}, "--gdb --"),
        ("--gdb - a", {"gdb": True}, "- a"),
        ("a --memory -- b", {"memory": "--"}, "a b"),
    ],
)
def test_options_stand_where_they_like(typed: str, options: dict[str, Any], words: str) -> None:
    """Options are read before, between and behind words, up to a `--`; words with `=` are words (A16)."""
    found = invocation.options("run-uefi", PARAMS, typed.split(), mixed=True)
    assert found == (NOTHING | options, tuple(words.split()))


@pytest.mark.parametrize(
    ("typed", "options", "words"),
    [
        ("ls -l --gdb", {}, "ls -l --gdb"),
        ("--gdb ls -l", {"gdb": True}, "ls -l"),
        ("-- ls -l", {}, "ls -l"),
        ("--gdb -- ls -- -l", {"gdb": True}, "ls -- -l"),
        ("A=b ls --memory", {}, "A=b ls --memory"),
    ],
)
def test_a_command_for_a_guest_keeps_its_options(typed: str, options: dict[str, Any], words: str) -> None:
    """`ssh ls -l` and `ssh -- ls -l` are the same: the first word ends our options (A12)."""
    assert invocation.options("ssh", PARAMS, typed.split()) == (NOTHING | options, tuple(words.split()))


@pytest.mark.parametrize("before", ["", "disk.img"])
@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--memroy 2G", "run-uefi: option --memroy not recognized\n  Did you mean --memory?"),
        ("-x", "run-uefi: option -x not recognized\n  `doit help run-uefi` shows its options."),
        ("--memory", "run-uefi: option --memory requires argument"),
        ("--gdb=1", "run-uefi: option --gdb must not have an argument"),
    ],
)
def test_wrong_options_are_named(before: str, typed: str, message: str) -> None:
    """What is wrong with an option is said the same wherever it stands, and what it may have meant."""
    with pytest.raises(UsageError) as caught:
        invocation.options("run-uefi", PARAMS, [*before.split(), *typed.split()], mixed=True)
    assert str(caught.value).startswith(message)


def test_a_variable_given_twice_is_refused() -> None:
    """Which one is meant cannot be known."""
    with pytest.raises(UsageError, match=r"disk[.]size is given twice"):
        read("disk.size=1G", "disk.size=2G", "image")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("-v image", "-v 2 image"),
        ("-v", "-v 2"),
        ("--verbose image", "-v 2 image"),
        ("-v 1 image", "-v 1 image"),
        ("image -v", "image -v"),
        ("image", "image"),
    ],
)
def test_all_stages_are_asked_for_as_everywhere(typed: str, meant: str) -> None:
    """`-v` needs no number, though doit's does; behind a task it is the task's."""
    assert invocation.verbose_first(typed.split()) == meant.split()


def test_near_names() -> None:
    """A misspelt word is answered with what it may have meant."""
    assert invocation.meant("imgae", ["image", "kernel"]) == "Did you mean image?"
    assert "doit list" in invocation.meant("zzz", ["image", "kernel"])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("-h", "help"),
        ("--help", "help"),
        ("image -h", "help image"),
        ("image:lites --help", "help image:lites"),
        ("disk.size=8G -a image --help", "help disk.size=8G image"),
        ("layers/1-files -h", "help layers/1-files"),
        ("list --help", "help list"),
        ("run-uefi disk.img --memory 1G -h", "help run-uefi"),
        ("ssh -h", "help ssh"),
        ("ssh ls --help", "ssh ls --help"),
        ("test -k gpt -h", "test -k gpt -h"),
        ("image -- -h", "image -- -h"),
        ("image", "image"),
    ],
)
def test_help_is_asked_for_as_everywhere(typed: str, meant: str) -> None:
    """`-h` and `--help` behind a task are about it; what a guest or a task of the dodo's own is told stays as it is."""
    known = ["image", "layers", "run-uefi", "ssh", "list"]
    assert invocation.help_first(typed.split(), known, ["ssh"]) == meant.split()
