"""build-syslinux-bios, build-efistub: the recipe that is imagined for a tree, and the disk put where it was wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import recipeless_disks
from bootsmith.tasks.errors import BootsmithError, UsageError

from tests.command.actions.conftest import Calls


def test_a_disk_is_planned_for_each_firmware(call: Calls) -> None:
    """By a loader that needs nothing of the tree's; each has its place, that of a tree of the same name another."""
    bios = recipeless_disks.for_bios(call("build-syslinux-bios", "tree"))
    uefi = recipeless_disks.for_uefi(call("build-efistub", "tree"))
    assert bios.build.name == "syslinux"
    assert uefi.build.name == "efistub"
    assert bios.build.parent == uefi.build.parent
    assert bios.build.parent.parent == call.top / "build/disks"
    (disk,) = bios.outputs
    assert disk.suffix == ".raw"


def test_options_shape_the_disk(call: Calls) -> None:
    """As a recipe's keys: the size, the words for the kernel, a kernel from elsewhere; `$` in them is itself."""
    (call.top / "initrd").write_bytes(b"070701")
    plain = recipeless_disks.for_uefi(call("build-efistub", "tree"))
    asked = recipeless_disks.for_uefi(
        call("build-efistub", "tree", size="4G", cmdline="a=$b", kernel="vmlinuz", initrd="initrd")
    )
    assert str(asked.stage("partition").params) != str(plain.stage("partition").params)
    assert "a=$b" in str([stage.params for stage in asked.stages])
    read = {path for stage in asked.stages for path in stage.inputs.values()}
    assert {call.top / "vmlinuz", call.top / "initrd"} <= read


def test_the_trees_fstab_is_replaced(call: Calls) -> None:
    """It is of some other disk; the loader's partition need not be mounted for the guest to start."""
    plan = recipeless_disks.for_uefi(call("build-efistub", "tree"))
    layers = str([stage.params for stage in plan.stages if stage.name.startswith("layers")])
    assert "nofail" in layers


@pytest.mark.parametrize(
    ("word", "output", "message"),
    [
        ("nowhere", None, "nowhere does not exist"),
        (".", None, "holds the build directory, which changes"),
        ("tree", "nowhere/x.img", "there is no such directory"),
        ("tree", "tree/x.img", "is, or lies in, what it is made from"),
        ("tree", "pipe", "--output"),
    ],
)
def test_what_cannot_be_is_refused_first(call: Calls, word: str, output: str | None, message: str) -> None:
    """Before anything is built: a tree that is none, a disk that would be part of its own tree."""
    os.mkfifo(call.top / "pipe")
    with pytest.raises(BootsmithError, match=message):
        recipeless_disks.for_uefi(call("build-efistub", word, output=output))


def deliver(call: Calls, content: bytes, **options: object) -> Path:
    """Have a disk of this content delivered; return it."""
    request = call("build-efistub", "tree", **options)
    (disk,) = request.session.adopt(recipeless_disks.for_uefi(request)).plan.outputs
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(content)
    recipeless_disks.deliver(request)
    return disk


def test_a_disk_is_put_where_it_is_wanted(call: Calls) -> None:
    """Unless the very same is there; without a place it stays where it was made."""
    deliver(call, b"one")
    assert call.said == ""
    disk = deliver(call, b"one", output="x.img")
    wanted = call.top / "x.img"
    assert call.said == "x.img\n"
    assert wanted.read_bytes() == b"one"
    before = wanted.stat()
    deliver(call, b"one", output="x.img")
    assert wanted.stat().st_ino == before.st_ino
    deliver(call, b"two", output="x.img")
    assert wanted.read_bytes() == b"two"
    assert disk.read_bytes() == b"two"
    assert [path.name for path in call.top.iterdir() if path.name.startswith(".bootsmith")] == []


def test_several_trees_are_too_many(call: Calls) -> None:
    """One tree is one disk."""
    with pytest.raises(UsageError, match="one file, not 2"):
        recipeless_disks.for_bios(call("build-syslinux-bios", "tree", "tree"))
