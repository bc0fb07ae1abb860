"""A live system: packed on a CD, with a layer in memory over it, started wherever a CD is found. W6, W17."""

from __future__ import annotations

import re
import shutil
import subprocess
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
    lock = (top / "initrd.lock").read_text()
    (top / "live.lock").write_text(lock)
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
