"""The machine that a command asks for, and its run: what is refused, what is handed on, what is held meanwhile."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.command.actions import machines
from bootsmith.tasks.errors import BootsmithError, InputMissing, RecipeError, StageError, UsageError
from bootsmith.tasks.machine import background, running
from bootsmith.tasks.machine import run as runs
from bootsmith.tasks.machine.run import Subject
from bootsmith.tasks.recipe.options import machine

from tests.command.actions.conftest import Calls
from tests.support.kernel_files import multiboot


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "vdmk"}, UsageError, "--format vdmk: there is no such format"),
        ({"memory": "2"}, RecipeError, "machine.memory: 2 has no unit"),
        ({"passphrase": "words"}, BootsmithError, "a secret cannot stand on a command line"),
    ],
)
def test_options_that_no_machine_has_are_refused(
    call: Calls, options: dict[str, str], error: type[BootsmithError], message: str
) -> None:
    """Before anything is built for it, of a recipe as of a file."""
    for words in ((), ("some.img",)):
        with pytest.raises(error, match=message):
            machines.check(call("run-uefi", *words, **options))
        machines.check(call("run-uefi", *words, memory="2G", format="raw"))


def test_the_recipes_machine_is_asked_for(call: Calls) -> None:
    """With the options in place of what it says; its run leaves what it leaves in the build directory."""
    call.edit("system: none", "system: none\nmachine: {memory: 3G, cpus: 2}")
    found, folder, recipe = machines.asked_for(call("run-uefi", cpus="4"), call.top)
    assert (found.memory, found.cpus) == (3 << 30, 4)
    assert folder == call.top / "build/box"
    assert recipe is not None
    assert recipe.file == call.top / "box.yaml"


def test_a_file_has_a_machine_of_its_own(call: Calls) -> None:
    """The recipe says nothing of it, wrong or not; what its run leaves has a folder of its own."""
    call.edit("system: none", "wrong")
    found, folder, recipe = machines.asked_for(call("run-uefi", "some.img", memory="3G"), call.top / "some.img")
    assert found == machine({"memory": "3G"})
    assert folder.parent == call.top / "build/run"
    assert recipe is None


def test_a_file_that_an_option_names_is_there(call: Calls) -> None:
    """It is looked for where the command was typed; without the option there is none."""
    assert machines.given_file(call("run-direct"), "initrd") is None
    assert machines.given_file(call("run-direct", initrd="some.img"), "initrd") == call.top / "some.img"
    with pytest.raises(UsageError, match=r"the initrd .*/none\.img does not exist") as refused:
        machines.given_file(call("run-direct", initrd="none.img"), "initrd")
    assert refused.value.hint == "Name a file, or leave out --initrd."


def test_an_entrys_kernel_is_started(call: Calls) -> None:
    """With its words for the kernel, and its initrd if it has one; without a kernel there is nothing to start."""
    request = call("run-direct")
    recipe, plan = request.session.recipe(), request.session.builder().plan
    plain, rescue = (machines.started(recipe, plan, name) for name in ("plain", "rescue"))
    assert plain is not None
    assert rescue is not None
    assert plain.image == rescue.image == call.top / "build/box/kernel/vmlinuz"
    assert plain.initrd is None
    assert rescue.cmdline.split() == [*plain.cmdline.split(), "single"]
    bare = plan._replace(stages=tuple(stage for stage in plan.stages if stage.name != "kernel"))
    assert machines.started(recipe, bare, "plain") is None


def test_a_machine_runs_on_an_image_that_is_held(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can change it meanwhile; what was asked for is handed on, and root is told that it is not needed."""
    seen: list[Any] = []

    def run(*words: object, **named: Any) -> int:
        with (call.top / "some.img").open("r+b") as image, pytest.raises(BlockingIOError):
            fcntl.flock(image, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named["say"]("running")
        seen.append((*words, named["folder"], named["register"], named["print_only"]))
        return 0

    monkeypatch.setattr(runs, "run", run)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    asked, subject = machine({}), Subject(call.top / "some.img")
    machines.boot(call("run-bios", "some.img", print=True), asked, subject, Path("left"))
    assert seen == [(asked, subject, Path("left"), call.top / "build/.running", True)]
    assert call.said.startswith("run as root, which it does not need")
    assert call.said.endswith("running\n")


def test_a_machine_that_failed_fails_the_command(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """By QEMU's exit status, which is told."""
    monkeypatch.setattr(runs, "run", lambda *_words, **_named: 7)
    with pytest.raises(StageError, match="QEMU exited with status 7"):
        machines.boot(call("run-bios"), machine({}), Subject(None), Path())


def test_a_machine_in_the_background_is_announced_no_more(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it runs it has a note of its own: whoever ends it must not find the command that started it."""
    request = call("run-uefi", detach=True)
    register = machines.register(request)
    machines.announce(request, "run-uefi")
    assert [each.what for each in running.find(register)] == ["run-uefi"]
    noted = running.Noted(None, "disk", None, None, 42, name="box")
    monkeypatch.setattr(background, "start", lambda *_: noted)
    machines.boot(request, machine({}), Subject(None), Path())
    assert running.find(register) == []
    assert "box runs in the background (process 42)" in call.said


def test_an_image_that_is_gone_cannot_be_held(call: Calls) -> None:
    """It is named, and what to do."""
    gone = call.top / "gone.img"
    with pytest.raises(InputMissing, match=r"gone\.img does not exist"), machines.kept(call("inspect"), gone):
        pass


MACH = """\
arch: i386
source: none
disk: {partitions: {root: {fs: ext2, mount: /}}}
boot: {loader: grub-bios, protocol: multiboot, kernel: {first: [mach], as: /boot/mach}}
"""


def test_only_linux_is_let_in_by_credentials(call: Calls) -> None:
    """They are for systemd: another kernel is started without them, and without a port for an ssh server."""
    assert machines.wanted(call("run-bios"))[0].login == "auto"
    (call.top / "mach").write_bytes(multiboot())
    (call.top / "box.yaml").write_text(MACH)
    assert machines.wanted(call("run-bios"))[0].login == "none"


def test_a_machine_is_announced_until_it_has_started(call: Calls) -> None:
    """For `ssh` to wait for it: with its recipe, or the file that it boots."""
    request = call("run-uefi", recipe="kernel")
    machines.announce(request, "run-uefi")
    machines.announce(call("run-bios", "some.img"), "run-bios")
    (one,) = [each for each in running.find(machines.register(request)) if each.recipe]
    assert (one.recipe, one.what, one.port) == (call.top / "kernel.yaml", "run-uefi:kernel", None)
    request.session.starting.close()
    assert [each.what for each in running.find(machines.register(request)) if each.recipe] == []
