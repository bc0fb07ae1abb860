"""ssh: which machine is entered, as whom, and what its status becomes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import guest_shell, machines
from bootsmith.tasks.errors import BootsmithError, Ended, UsageError
from bootsmith.tasks.machine import running
from bootsmith.tasks.machine import ssh as shells
from bootsmith.tasks.tools import host, popen

from tests.command.actions.conftest import Calls


@pytest.fixture(name="entered")
def fixture_entered(call: Calls, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The lines by which machines were entered: there is one of box.yaml, one of kernel.yaml, and one of a file."""
    lines: list[list[str]] = []
    monkeypatch.setattr(host, "find", lambda name: Path("/bin") / name)
    monkeypatch.setattr(shells, "wait_for_banner", lambda *_: None)
    monkeypatch.setattr(popen, "spawn_interactive", lambda words: lines.append([str(word) for word in words]))
    with contextlib.ExitStack() as stack:
        register = machines.register(call("ssh"))
        for recipe, port in ((call.top / "box.yaml", 1001), (call.top / "kernel.yaml", 1002), (None, 1003)):
            noted = running.Noted(recipe, f"image {port}", port, Path("/key"), os.getpid())
            stack.enter_context(running.note(register, noted))
        yield lines


@pytest.mark.parametrize(
    ("recipe", "options", "port"),
    [
        (None, {}, 1001),
        ("kernel", {}, 1002),
        (None, {"port": "1003"}, 1003),
        ("kernel", {"port": "1001"}, 1001),
        (None, {"machine": "kernel"}, 1002),
    ],
)
def test_the_machine_that_is_meant_is_entered(
    call: Calls, entered: list[list[str]], recipe: str | None, options: dict[str, str], port: int
) -> None:
    """By its name or port, else that of the recipe, else the newest; as root, unless somebody else is named."""
    guest_shell.ssh(call("ssh", "ls", "-l", recipe=recipe, **options))
    guest_shell.ssh(call("ssh", recipe=recipe, user="ann", **options))
    first, second = entered
    assert str(port) in first
    assert first[-2:] == ["ls", "-l"]
    assert any("root" in word for word in first)
    assert any("ann" in word for word in second)


def test_what_runs_is_told_where_nothing_is_meant(call: Calls, entered: list[list[str]]) -> None:
    """With the port by which each is entered."""
    (call.top / "third.yaml").write_text("source: none\n")
    with pytest.raises(BootsmithError, match=r"there are: image 1003 \(--port 1003\), image 1002") as refused:
        guest_shell.ssh(call("ssh", recipe="third"))
    assert refused.value.exit_code == 1
    with pytest.raises(BootsmithError, match="no such machine is running"):
        guest_shell.ssh(call("ssh", port="9"))
    assert entered == []


def test_the_status_of_the_command_is_ours(
    call: Calls, entered: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ran in the guest."""
    assert entered == []
    monkeypatch.setattr(popen, "spawn_interactive", lambda _words: 42)
    with pytest.raises(Ended) as ended:
        guest_shell.ssh(call("ssh", "false"))
    assert ended.value.exit_code == 42


def test_a_machine_that_ends_is_not_waited_for(
    call: Calls, entered: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ssh server will not come any more."""

    def wait(port: int, seconds: float, pause: Callable[[float], None]) -> None:
        assert (port, seconds) == (1001, 2.5)
        pause(0)
        monkeypatch.setattr(running, "find", lambda _: [])
        pause(0)

    monkeypatch.setattr(shells, "wait_for_banner", wait)
    with pytest.raises(BootsmithError, match="the machine that ran image 1001 has ended"):
        guest_shell.ssh(call("ssh", timeout="2.5"))
    assert entered == []


@pytest.mark.parametrize("wrong", ["soon", "nan", "inf", "-1", "1e12"])
def test_a_time_that_is_none_is_refused(call: Calls, wrong: str) -> None:
    """Before anything is looked for."""
    with pytest.raises(UsageError, match=f"--timeout {wrong}: not a number of seconds"):
        guest_shell.ssh(call("ssh", timeout=wrong))


def starting(call: Calls, recipe: str | None, what: str) -> contextlib.AbstractContextManager[running.Noted]:
    """Note a machine that is yet to start."""
    file = call.top / recipe if recipe else None
    return running.note(machines.register(call("ssh")), running.Noted(file, what, None, None, 42, started=False))


def test_a_machine_that_is_about_to_start_is_waited_for(
    call: Calls, entered: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run-uefi &` and then `ssh`: its image may be built first; who is waited for is said, apart from the answer."""
    (call.top / "third.yaml").write_text("source: none\n")
    with contextlib.ExitStack() as stack:
        stack.enter_context(starting(call, "third.yaml", "run-uefi:third"))
        moments = iter([lambda: None, lambda: stack.enter_context(
            running.note(machines.register(call("ssh")),
                         running.Noted(call.top / "third.yaml", "disk", 1004, Path("/key"), 42))
        )])  # fmt: skip
        monkeypatch.setattr(guest_shell.time, "sleep", lambda _: next(moments)())
        guest_shell.ssh(call("ssh", recipe="third"))
    assert "1004" in entered[0]
    assert capsys.readouterr().err == "waiting for run-uefi:third (process 42) to start\n"


def test_one_that_never_starts_is_not_waited_for(
    call: Calls, entered: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run ended, or it is another recipe's, or there is one by that port only; nor longer than asked."""
    (call.top / "third.yaml").write_text("source: none\n")
    with contextlib.ExitStack() as stack:
        stack.enter_context(starting(call, "third.yaml", "run-uefi:third"))
        monkeypatch.setattr(guest_shell.time, "sleep", lambda _: stack.close())
        with pytest.raises(BootsmithError, match="no such machine is running"):
            guest_shell.ssh(call("ssh", recipe="third"))
    with starting(call, "third.yaml", "run-uefi:third"):
        with pytest.raises(BootsmithError, match="no such machine is running"):
            guest_shell.ssh(call("ssh", port="9"))
        with pytest.raises(BootsmithError, match="no such machine is running"):
            guest_shell.ssh(call("ssh", recipe="third", timeout="0"))
    assert entered == []


def test_a_wait_says_how_far_the_machine_has_come(
    call: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By the last line of its console, where that goes to a file; it steers no terminal, and is told at the end too."""
    console = tmp_path / "console.log"
    console.write_bytes(b"x\n" * 9000 + b"Loading, \x1b[31mplease\x1b[0m wait\xff...\r\r\n\n")
    noted = running.Noted(None, "disk", 1004, Path("/key"), os.getpid(), console=console)
    clock = iter(range(100))
    monkeypatch.setattr(guest_shell.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(guest_shell.time, "sleep", lambda _: None)

    def wait(_port: int, _seconds: float, pause: Callable[[float], None]) -> None:
        for _ in range(5):
            pause(0)
        raise BootsmithError("no ssh server answered", "Has it one?")

    monkeypatch.setattr(shells, "wait_for_banner", wait)
    with running.note(machines.register(call("ssh")), noted):
        with pytest.raises(BootsmithError, match=r"the last line of its console: Loading, please wait.*\.\.\.") as late:
            guest_shell.ssh(call("ssh"))
        assert late.value.hint == "Has it one?"
        assert "(port 1004); its console: Loading, please wait" in capsys.readouterr().err
        console.unlink()
        with pytest.raises(BootsmithError, match=r"no ssh server answered\n"):
            guest_shell.ssh(call("ssh"))


def test_a_silent_wait_says_for_what(
    call: Calls, entered: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and not where the server answers soon."""
    clock = iter(range(100))
    monkeypatch.setattr(guest_shell.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(guest_shell.time, "sleep", lambda _: None)

    def wait(_port: int, _seconds: float, pause: Callable[[float], None]) -> None:
        for _ in range(5):
            pause(0)

    monkeypatch.setattr(shells, "wait_for_banner", wait)
    guest_shell.ssh(call("ssh"))
    assert capsys.readouterr().err == "waiting for the ssh server of image 1001 (port 1001)\n"
    assert len(entered) == 1
