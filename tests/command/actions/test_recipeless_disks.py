"""build-syslinux-bios, build-efistub: the recipe that is imagined for a tree, and the disk put where it was wanted."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from bootsmith.tasks.command.actions import recipeless_disks, standard_input
from bootsmith.tasks.errors import BootsmithError, UsageError

from tests.command.actions.conftest import Calls
from tests.support.container_images import layout, packed
from tests.support.tar_members import member, write_tar


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


def test_a_container_image_is_one(call: Calls, tmp_path: Path) -> None:
    """Told by its content; it is taken whole (A15)."""
    write_tar(call.top / "image.tar", layout([packed(tmp_path, {"a": b"x"})]))
    words = {"kernel": "vmlinuz", "initrd": "none"}
    plan = recipeless_disks.for_bios(call("build-syslinux-bios", "image.tar", **words))
    assert plan.stage("rootfs").run.endswith("container_image:take")
    with pytest.raises(UsageError, match="which is taken whole"):
        recipeless_disks.for_bios(call("build-syslinux-bios", "image.tar", subdir="a", **words))


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


def test_a_guest_is_declared_where_options_say_so(call: Calls) -> None:
    """V6, A22: a name, root's password by reference and keys; nothing is declared without them."""
    (call.top / "tree/etc").mkdir()
    for name in ("tree/etc/passwd", "tree/etc/group", "password", "key.pub"):
        (call.top / name).touch()
    plain = recipeless_disks.for_uefi(call("build-efistub", "tree"))
    assert "layers/system" not in [stage.name for stage in plain.stages]
    words = {"hostname": "box.example", "password_file": "password", "ssh_key": "key.pub"}
    stage = recipeless_disks.for_uefi(call("build-efistub", "tree", **words)).stage("layers/system")
    assert stage.params["hostname"] == "box.example"
    assert (stage.params["network"], stage.params["fstab"]) == ("none", None)
    assert [each.file for each in stage.secrets.values()] == [call.top / "password"]
    assert call.top / "key.pub" in stage.inputs.values()
    stage = recipeless_disks.for_bios(call("build-syslinux-bios", "tree", ssh_key="key.pub")).stage("layers/system")
    assert stage.params["hostname"] == "tree", "it is called as its file is"
    (call.top / "tree/etc/passwd").unlink()
    with pytest.raises(UsageError, match="no /etc/passwd"):
        recipeless_disks.for_uefi(call("build-efistub", "tree", hostname="box"))


@pytest.mark.parametrize(
    ("output", "kind"), [("x.qcow2", "qcow2"), ("x.VMDK", "vmdk"), ("x.img", "raw"), (None, "raw")]
)
def test_the_outputs_ending_says_its_format(output: str | None, kind: str, call: Calls) -> None:
    """As convert-file has it."""
    (disk,) = recipeless_disks.for_uefi(call("build-efistub", "tree", output=output)).outputs
    assert disk.suffix == f".{kind}"


def test_images_and_parts_of_tars_are_trees(call: Calls) -> None:
    """A14: what a file is, its content says; a tar's folder may hold the tree."""
    (call.top / "a.img").write_bytes(b"hsqs")
    (call.top / "b.img").write_bytes(bytes(1024) + b"\xe2\xe1\xf5\xe0")
    for name, run in (("a.img", "squashfs_tree"), ("b.img", "erofs_image")):
        plan = recipeless_disks.for_uefi(call("build-efistub", name))
        assert run in plan.stage("rootfs").run
        with pytest.raises(UsageError, match="which is taken whole"):
            recipeless_disks.for_uefi(call("build-efistub", name, subdir="/mnt"))
    write_tar(call.top / "c.tar", {"mnt/": member("d"), "mnt/init": b""})
    plan = recipeless_disks.for_uefi(call("build-efistub", "c.tar", subdir="/mnt"))
    assert plan.stage("rootfs").params["subdir"] == "/mnt"
    with pytest.raises(UsageError, match="is a directory"):
        recipeless_disks.for_uefi(call("build-efistub", "tree", subdir="/mnt"))


def test_standard_input_is_a_tree(call: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes are the same file, so that a second build makes nothing; none, or a terminal, is refused."""
    write_tar(call.top / "c.tar", {"init": b""})

    def piped(data: bytes) -> Path:
        monkeypatch.setattr(standard_input, "_kept", {})
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        return recipeless_disks.for_uefi(call("build-efistub", "-")).stage("rootfs").inputs["file"]

    first = piped((call.top / "c.tar").read_bytes())
    assert first.read_bytes() == (call.top / "c.tar").read_bytes()
    assert piped((call.top / "c.tar").read_bytes()) == first
    with pytest.raises(UsageError, match="nothing came by standard input"):
        piped(b"")
    with pytest.raises(UsageError, match="read by a build alone"):
        recipeless_disks.for_uefi(call("build-efistub", "-", runs=False))


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
        ("pipe", None, "pipe is not a file"),
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
