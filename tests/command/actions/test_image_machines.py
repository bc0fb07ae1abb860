"""run-uefi, run-bios, run-direct: what is booted, and how; nothing runs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bootsmith.tasks.command.actions import image_machines, machines
from bootsmith.tasks.disk import bootable, image_content
from bootsmith.tasks.errors import BootsmithError, UsageError
from bootsmith.tasks.machine.run import Subject

from tests.command.actions.conftest import Calls
from tests.support.kernel_files import bzimage, multiboot

Boots = Callable[..., "Boot"]


class Boot(NamedTuple):
    """One run of a machine that was asked for."""

    subject: Subject
    folder: Path


@pytest.fixture(name="boots")
def fixture_boots(call: Calls, monkeypatch: pytest.MonkeyPatch) -> Boots:
    """What calls a command and returns the run that it asks for, of a disk that the firmware in `able` can start."""

    def act(
        name: str, *words: str, able: tuple[str, ...] = ("uefi", "bios"), vendors: str | None = None, **named: Any
    ) -> Boot:
        found: list[Boot] = []
        monkeypatch.setattr(machines, "boot", lambda _request, _machine, *rest: found.append(Boot(*rest)))
        monkeypatch.setattr(bootable, "firmware", lambda *_: able)
        monkeypatch.setattr(bootable, "vendors", lambda *_: vendors)
        monkeypatch.setattr(image_content, "check", lambda *_: None)
        function = {
            "run-uefi": image_machines.run_uefi,
            "run-bios": image_machines.run_bios,
            "run-direct": image_machines.run_direct,
        }[name]
        function(call(name, *words, **named))
        (boot,) = found
        return boot

    return act


def test_a_disk_is_booted_under_the_firmware_named(call: Calls, boots: Boots) -> None:
    """run-uefi under UEFI, run-bios under a BIOS; a file by itself, the recipe's disk as the recipe says."""
    assert boots("run-uefi", "some.img").subject == Subject(call.top / "some.img", "raw", "uefi")
    assert boots("run-bios", "some.img").subject.kind == "bios"
    disk = call.top / "build/box/box.raw"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(bytes(512))
    assert boots("run-bios") == Boot(Subject(disk, "raw", "bios", recipe=call.top / "box.yaml"), call.top / "build/box")


def test_firmware_that_finds_nothing_is_refused(boots: Boots) -> None:
    """It would end in a screen that says nothing; what starts the disk is named."""
    with pytest.raises(BootsmithError) as refused:
        boots("run-uefi", "some.img", able=("bios",))
    assert "`doit run-bios`" in refused.value.hint


def test_a_loader_on_its_vendors_path_gets_an_entry(call: Calls, boots: Boots) -> None:
    """Firmware starts such a loader only by an entry among its variables, of which a copy is made; this is said."""
    boot = boots("run-uefi", "some.img", able=(), vendors="EFI/debian/shimx64.efi")
    assert boot.subject.program == "EFI/debian/shimx64.efi"
    assert "gets a boot entry for EFI/debian/shimx64.efi" in call.said


def test_what_a_guest_left_is_not_looked_into(boots: Boots) -> None:
    """With --keep, and writes kept of an earlier run, what starts may lie there: it is booted as asked."""
    folder = boots("run-uefi", "some.img").folder
    folder.mkdir(parents=True)
    (folder / "run.qcow2").touch()
    assert boots("run-uefi", "some.img", able=(), keep=True).subject.kind == "uefi"


def test_a_kernel_is_started_as_it_was_named(call: Calls, boots: Boots) -> None:
    """With its initrd, words and disk; without words the console is on the terminal."""
    (call.top / "linux").write_bytes(bzimage())
    plain = boots("run-direct", "linux").subject
    assert plain.kernel is not None
    assert (plain.kernel.image, plain.kernel.initrd, plain.kernel.cmdline) == (
        call.top / "linux", None, "console=ttyS0",
    )  # fmt: skip
    assert plain.disk is None
    whole = boots("run-direct", "linux", initrd="some.cpio", cmdline="quiet", disk="some.img", format="raw").subject
    assert whole.kernel is not None
    assert (whole.kernel.initrd, whole.kernel.cmdline) == (call.top / "some.cpio", "quiet")
    assert whole.disk == call.top / "some.img"


def test_what_no_kernel_unpacks_is_refused(call: Calls, boots: Boots) -> None:
    """A file that is no initrd is told before QEMU starts, but for a kernel that takes any module (W7)."""
    with pytest.raises(BootsmithError, match=r"some\.img cannot be the initrd: it is no cpio archive"):
        boots("run-direct", "vmlinuz", initrd="some.img")
    (call.top / "mach").write_bytes(multiboot())
    assert boots("run-direct", "mach", initrd="some.img").subject.kernel is not None


def test_the_recipes_kernel_is_started_with_its_disk(call: Calls, boots: Boots) -> None:
    """By the entry asked for, words of the command line behind its own; a recipe may have no disk."""
    whole = boots("run-direct", entry="rescue", cmdline="quiet").subject
    assert whole.kernel is not None
    assert whole.kernel.cmdline.split()[-2:] == ["single", "quiet"]
    assert whole.disk == call.top / "build/box/box.raw"
    assert boots("run-direct", recipe="kernel").subject.disk is None


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        (("vmlinuz",), {"entry": "plain"}, "--entry is one of a recipe's, and a KERNEL is none"),
        (("nothing",), {}, "the kernel .*/nothing does not exist"),
        (("vmlinuz",), {"initrd": "nothing"}, "the initrd .*/nothing does not exist"),
        ((), {"initrd": "some.cpio"}, "--initrd goes with a KERNEL"),
        ((), {"disk": "some.img"}, "--disk goes with a KERNEL"),
        ((), {"format": "raw"}, "--format goes with a KERNEL"),
        ((), {"passphrase": "env:X"}, "--passphrase goes with a KERNEL"),
        ((), {"entry": "none"}, "--entry: there is no entry 'none'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    boots: Boots, words: tuple[str, ...], options: dict[str, str], message: str
) -> None:
    """Those of a kernel that is named, and those of a recipe's."""
    with pytest.raises(UsageError, match=message):
        boots("run-direct", *words, **options)
