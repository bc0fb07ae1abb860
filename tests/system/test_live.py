"""A live system: packed on a CD, with a layer in memory over it, started wherever a CD is found. W6, W17."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.tree import live_initramfs

from tests.support import cd_build
from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("live")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a live system, whose initrd runs the script that ours would bring."""
    top = tmp_path_factory.mktemp("live") / "project"
    shutil.copytree(CHECKOUT / "tests/support/live", top)
    (top / "script").write_text(live_initramfs.SCRIPT)
    (top / "dodo.py").write_text(dodo("live.yaml"))
    doit(top, "image:initrd")
    doit(top, "image")
    yield top
    shutil.rmtree(top.parent)


@pytest.mark.parametrize("cd", [True, False], ids=["cd", "disk"])
@pytest.mark.parametrize("uefi", [True, False], ids=["uefi", "bios"])
def test_it_comes_up(project: Path, tmp_path: Path, *, uefi: bool, cd: bool) -> None:
    """Under both firmwares, from the drive and from a disk: what is written is kept in memory, the tree is as it was."""
    image, log = project / "build/live/live.iso", tmp_path / "log"
    heard = cd_build.serial_of(image, log, cd=cd, uefi=uefi, drive="scsi" if cd else "virtio")
    assert "live is up" in heard
    for line in ("fstab: # a live system", "the packed tree stays as it is", "written: kept in memory",
                 "owner: 1234:5:640", "overlay / overlay"):  # fmt: skip
        assert line in heard
