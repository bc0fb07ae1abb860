"""A disk image as a source: the files in a partition of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.tree.merged import Tree

from tests.support.recipe_folder import RecipeFolder
from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH
from tests.support.whole_disk import PASSWD, WholeDisk

RECIPE = "source: {disk: SOURCE}\nsystem: none\nboot: {loader: grub-bios, initrd: none}\n"


class Takings:
    """A folder where recipes take disks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recipes = RecipeFolder(folder)
        self._runs = 0

    def take(self, said: str) -> Tree:
        """Return the tree that a source is."""
        self._runs += 1
        site = Site("x", self._folder / f"build/{self._runs}", self._folder / "none.lock", 0)
        recipe = self._recipes.load(RECIPE.replace("SOURCE", said))
        run_stage(rootfs.stage(recipe, site), self._folder / f"work/{self._runs}")
        return Tree([site.base.index], [site.base.tar])


@pytest.fixture
def takings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Takings:
    monkeypatch.chdir(tmp_path)
    return Takings(tmp_path)


def test_a_disks_tree_is_taken(whole: WholeDisk, takings: Takings, tmp_path: Path) -> None:
    """V1: of raw and qcow2, the system's tree with what it mounts, or one partition by its name or number."""
    tree = takings.take(f"{whole.raw}")
    assert tree.text("etc/passwd") == PASSWD.decode()
    tool, large, null = (tree.entries[path][1] for path in ("usr/bin/tool", "usr/bin/large", "usr/null"))
    assert (tool.mode, tool.uid, tool.gid, tool.mtime) == (0o4755, 0, 1000, EPOCH)
    assert large.size == (3 << 20) + 3
    assert (null.type, null.major, null.minor) == ("c", 1, 3)
    assert {tree.entries[path][1].type for path in ("etc/motd", "etc/twin")} == {"f", "h"}
    assert tree.entries["etc/up"][1].link == "../../../etc/motd"
    assert tree.find("boot/efi/EFI/BOOT/BOOTX64.EFI"), "what fstab mounts is not there"
    qcow2 = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", whole.raw, qcow2], check=True)
    for said in (f"{{file: {qcow2}, partition: root}}", f"{{file: {whole.raw}, partition: '2'}}"):
        again = takings.take(said)
        assert [*again.entries] == [path for path in tree.entries if said.endswith("root}") or "boot/efi/" not in path]
    esp = takings.take(f"{{file: {qcow2}, partition: esp}}")
    assert esp.find("EFI/BOOT/BOOTX64.EFI")


def test_what_is_no_tree_is_told(whole: WholeDisk, takings: Takings, tmp_path: Path) -> None:
    """A partition that is not there, and a file that is no disk."""
    with pytest.raises(StageError, match=r"source\.disk\.partition: .*whole.* has no partition data"):
        takings.take(f"{{file: {whole.raw}, partition: data}}")
    (tmp_path / "none").write_bytes(bytes(1 << 20))
    with pytest.raises(StageError, match="none has no partition, and no filesystem"):
        takings.take(f"{tmp_path / 'none'}")
