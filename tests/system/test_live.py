"""A live system: packed on a CD, with a layer in memory over it, started wherever a CD is found. W6, W17."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.tree import live_initramfs

from tests.support import cd_build, tiny_kernel
from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit
from tests.support.signing_keys import make_key

SIGNED = """
extends: live
boot:
  loader: efistub
  cmdline+: stay
  secure_boot: {key: {file: mine.key}, certificate: mine.crt}
machine: {secure_boot: true}
test: {expect: ["secureboot: Secure boot enabled", live is up], timeout: 5m}
"""
TINY = """
source: {directory: {path: tree, modes: exec}}
system: none
boot: {loader: grub-bios, kernel: linux, initrd: tree, cmdline: then}
outputs: [iso: {mode: initramfs, loader: isolinux}]
"""
DEBIAN = """
extends: minimal
outputs: [iso]
machine: {drive: scsi}
test: {firmware: [uefi, bios], timeout: 10m}
"""

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("live")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a live system, whose initrd runs the script that ours would bring."""
    top = tmp_path_factory.mktemp("live") / "project"
    shutil.copytree(CHECKOUT / "tests/support/live", top)
    (top / "script").write_text(live_initramfs.SCRIPT)
    (top / "dodo.py").write_text(dodo("live.yaml"))
    (top / "signed.yaml").write_text(SIGNED)
    make_key(top)
    doit(top, "image:initrd")
    lock = (top / "initrd.lock").read_text()
    (top / "uefi.yaml").write_text("extends: live\noutputs: [iso: {loader: grub-efi}]\n")
    for name in ("live", "signed", "uefi"):
        (top / f"{name}.lock").write_text(lock)
    (digest,) = re.findall(r"^linux-image-[0-9].* needed \d+ ([0-9a-f]{64}) ", lock, re.MULTILINE)
    modules(top / f"cache/sha256/{digest[:2]}/{digest}", top / "initrd/modules")
    doit(top, "image:initrd")
    doit(top, "image")
    yield top
    shutil.rmtree(top.parent)


def modules(deb: Path, folder: Path) -> None:
    """Take the modules that the initrd loads out of a kernel's package: by a recipe each would be unpacked alone."""
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True).stdout
    names = (CHECKOUT / "tests/support/live/initrd/init").read_text().partition("for module in ")[2].partition(";")[0]
    folder.mkdir()
    wanted = [f"*/{name}.ko" for name in names.replace("\\", "").split()]
    subprocess.run(["tar", "-x", "--transform=s,.*/,,", "--wildcards", *wanted], cwd=folder, input=tar, check=True)
    assert len([*folder.iterdir()]) == len(wanted)


BIOS = pytest.param(False, marks=pytest.mark.soak(whole=1), id="bios")


@pytest.mark.parametrize("cd", [True, False], ids=["cd", "disk"])
@pytest.mark.parametrize("uefi", [pytest.param(True, id="uefi"), BIOS])
def test_it_comes_up(project: Path, tmp_path: Path, *, uefi: bool, cd: bool) -> None:
    """Under both firmwares, from the drive and from a disk: what is written stays in memory, the tree as it was."""
    image, log = project / "build/live/live.iso", tmp_path / "log"
    heard = cd_build.serial_of(image, log, cd=cd, uefi=uefi, drive="scsi" if cd else "virtio")
    assert "live is up" in heard
    for line in ("fstab: # a live system", "the packed tree stays as it is", "written: kept in memory",
                 "owner: 1234:5:640", "overlay / overlay"):  # fmt: skip
        assert line in heard


def test_it_is_started_by_firmware_that_believes_its_key_alone(project: Path) -> None:
    """With Secure Boot on, one signed program is kernel, initrd and words for it, and the CD is what is tried (V24)."""
    said = doit(project, "qemu-test:signed", "--accel", "tcg")
    assert "2 of 2 expectations met" in said
    assert not (project / "build/signed/assemble").exists()


def test_commands_take_the_cd_of_a_recipe_that_keeps_no_disk(project: Path) -> None:
    """run-uefi and run-bios start it from a drive, its own loaders say whether they can; inspect tells of it (W6)."""
    assert "media=cdrom" in doit(project, "run-uefi", "--print")
    assert "media=cdrom" in doit(project, "run-bios", "--format", "iso", "--print")
    assert "`doit run-uefi:uefi`" in doit(project, "run-bios:uefi", "--print", status=1)
    stick = project / "stick"
    stick.write_bytes(b"\xa5" * (64 << 20))
    assert "read back" in doit(project, "write", "--erase", str(stick))
    image = (project / "build/live/live.iso").read_bytes()
    assert stick.read_bytes().startswith(image)
    assert "write erases a disk" in doit(project, "write", status=3)
    told = doit(project, "inspect")
    assert "GRUB, its core at sector" in told
    assert "problem" not in told


def test_a_past_build_s_cd_is_brought_back_and_one_renamed_is_told_of(tmp_path: Path) -> None:
    """The same CD under another name; `at=ID` runs the one of then, where no disk was kept (W6)."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/init").write_text("#!/bin/sh\n")
    (tmp_path / "tree/init").chmod(0o755)
    (tmp_path / "linux").write_bytes(tiny_kernel.kernel())
    (tmp_path / "my.yaml").write_text(TINY)
    (tmp_path / "dodo.py").write_text(dodo("my.yaml"))
    doit(tmp_path, "image")
    first = (tmp_path / "build/my/my.iso").read_bytes()
    said = doit(tmp_path, "outputs.iso.file=other.iso", "image")
    assert "build/my/my.iso is no output any more: `doit clean image` removes it" in said
    assert (tmp_path / "build/my/other.iso").read_bytes() == first
    doit(tmp_path, "boot.cmdline=now", "image")
    old = json.loads(doit(tmp_path, "log", "--json"))["builds"][-1]["id"]
    assert f"at/{old[:8]}/my.iso" in doit(tmp_path, f"at={old}", "run-bios", "--print")
    assert (tmp_path / f"build/my/at/{old[:8]}/my.iso").read_bytes() == first
    assert not (tmp_path / "build/my/assemble").exists()


@pytest.mark.soak(whole=1)
def test_debian_comes_up_live(tmp_path: Path) -> None:
    """As its own initramfs-tools make its initrd, under both firmwares, to a login (W17)."""
    shutil.copytree(CHECKOUT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "recipes/cd.yaml").write_text(DEBIAN)
    (tmp_path / "dodo.py").write_text(dodo("recipes/cd.yaml"))
    said = doit(tmp_path, "qemu-test", "--accel", "tcg")
    assert "uefi: login reached" in said
    assert "bios: login reached" in said
