"""What can be known before anything is made is said then: a machine, a menu's entry, a file that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command.actions.conftest import KERNEL, RECIPE
from tests.support.kernel_files import bzimage
from tests.support.project import dodo, doit

NO_KERNEL = "source: {directory: tree}\nsystem: none\nboot: {loader: syslinux, initrd: none}\n"
NO_USERS = "source: {directory: tree}\nboot: {loader: syslinux, kernel: vmlinuz, initrd: none}\n"
UEFI = "source: {directory: tree}\nsystem: none\nboot: {loader: systemd-boot, kernel: vmlinuz, initrd: none}\n"


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A project with recipes of every kind of disk, and of none; nothing is built."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/init").touch(0o755)
    (tmp_path / "vmlinuz").write_bytes(bzimage())
    (tmp_path / "text").write_text("no kernel\n")
    (tmp_path / "dodo.py").write_text(dodo("box.yaml"))
    recipes = {"box": RECIPE, "kernel": KERNEL, "uefi": UEFI, "bare": NO_KERNEL, "nobody": NO_USERS}
    for name, text in recipes.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("run-uefi:kernel", 3, "kernel has no disk\n  `doit run-direct:kernel` starts its kernel."),
        ("inspect:kernel", 3, "kernel has no disk"),
        ("run-uefi", 1, "nothing to start on the disk of box: no FAT partition of it holds an EFI program"),
        ("run-bios:uefi", 1, "there is no boot code in its first sector\n  It starts otherwise: `doit run-uefi:uefi`."),
        ("run-direct --entry nope", 3, "there is no entry 'nope'\n  There are: plain, rescue."),
        ("run-direct --initrd text", 3, "--initrd goes with a KERNEL"),
        ("run-bios --serial /no/dir/x", 3, "the console cannot be written to /no/dir/x: there is no folder /no/dir"),
        ("run-bios --serial tree", 3, "it is a folder"),
        ("machine.serial=/no/x run-bios", 3, "there is no folder /no"),
        ("run-bios --passphrase file:GONE", 3, "--passphrase: there is no file GONE\n  write the passphrase into it"),
        ("run-bios --passphrase env:GONE", 3, "--passphrase: the environment variable GONE is not set"),
        ("run-bios --format vmdk", 3, "box has no output vmdk"),
        ("image:bare", 3, "bare.yaml: boot.kernel: there is no kernel in tree; name one, or bring one in a layer"),
        ("image:nobody", 3, "nobody.yaml: source.directory: tree has no /etc/passwd and /etc/group"),
        ("build-efistub tree", 3, "there is no kernel in tree\n  Give one: --kernel FILE, and its --initrd FILE."),
        ("build-efistub tree --kernel text", 3, "--kernel: text cannot be the kernel: it is no Linux"),
        ("run-dir tree", 3, "there is no kernel in {top}/tree\n  Give one: --kernel FILE"),
        ("run-dir tree --kernel gone", 3, "the kernel {top}/gone does not exist"),
        ("run-dir tree --kernel text", 1, "{top}/text is no kernel that QEMU can start"),
        ("run-dir tree --kernel vmlinuz --initrd gone", 3, "the initrd {top}/gone does not exist"),
    ],
)
def test_what_comes_to_nothing_is_said_before_anything_is_made(top: Path, words: str, status: int, said: str) -> None:
    """A build takes minutes; the mistake is known when the recipe was read."""
    shown = doit(top, *words.split(), status=status)
    assert said.format(top=top) in shown
    assert not any(word in shown for word in ("built", "restored", "failed"))
    assert not [*top.glob("build/*/.bootsmith"), *top.glob("build/*/*/.bootsmith")]


def test_all_that_is_in_the_way_of_outputs_is_said_at_once(top: Path) -> None:
    """Not by the last stage, one each run; what does not need it is built still."""
    build = top / "build/box"
    (build / "box.qcow2").mkdir(parents=True)
    (build / "box.raw").symlink_to("elsewhere")
    (build / "populate").write_text("")
    shown = doit(top, "image", status=1)
    for each in (
        "box.raw is in the way: not a regular file",
        "box.qcow2 is in",
        "populate is in the way: not a folder",
    ):
        assert f"{build}/{each}" in shown
    assert "built" not in shown
    assert "built    rootfs" in doit(top, "rootfs")
