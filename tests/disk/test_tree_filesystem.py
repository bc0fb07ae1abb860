"""The finished tree as a bare filesystem, read back by each one's own tools."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import erofs, squashfs
from bootsmith.tasks.disk.tree_filesystem import TreeErofsParams, TreeExtParams, TreeSquashfsParams
from bootsmith.tasks.errors import StageError

from tests.support.single_stage import run_stage
from tests.support.tar_members import EPOCH
from tests.tree.test_finished_tree import lay

UUID = "7c9d35e2-0a5e-4c3b-9d1f-5b6f5d0a7e41"
TREE = {"epoch": EPOCH, "fstab": True, "kernel": None}


def make(folder: Path, kind: str, size: int | None = None) -> tuple[Path, list[str]]:
    """Make a filesystem of the tree; return it, and what the stage told."""
    tools: tuple[str, ...] = ("mke2fs",)
    if kind == "ext":
        params = TreeExtParams(**TREE, size=size or "auto", extra=1 << 20, label="root", uuid=UUID).to_json()
    elif kind == "squashfs":
        params, tools = TreeSquashfsParams(**TREE, compress="zstd").to_json(), squashfs.TOOLS
    else:
        params = TreeErofsParams(**TREE, compress=kind.partition("-")[2], uuid=UUID).to_json()
        kind, tools = "erofs", erofs.TOOLS
    image = folder / "image"
    run = f"bootsmith.tasks.disk.tree_filesystem:run_{kind}"
    told = run_stage(Stage("convert/x", run, lay(folder), {"image": image}, params, tools), folder / "scratch")
    return image, told


def ask(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    return (done.stdout + done.stderr).decode(errors="surrogateescape")


@pytest.mark.parametrize("kind", ["ext", "squashfs", "erofs-none", "erofs-lz4"])
def test_twice_the_same_bytes(tmp_path: Path, kind: str) -> None:
    """A bare filesystem follows from the tree alone (V11)."""
    one, _ = make(tmp_path / "one", kind)
    assert one.read_bytes() == make(tmp_path / "two", kind)[0].read_bytes()


def test_an_ext4(tmp_path: Path) -> None:
    """It is sound, holds owners, modes and devices, the kernel and the initrd, and goes by the recipe's UUID."""
    image, _ = make(tmp_path, "ext")
    ask("e2fsck", "-fn", image)
    told = ask("debugfs", "-R", "stat /file", image)
    assert "User:  1000   Group: 70000" in told
    assert "Mode:  04755" in told
    assert ask("debugfs", "-R", "cat /boot/initrd.img-6.1", image).startswith("I" * 70)
    assert "Device major/minor number: 01:03" in ask("debugfs", "-R", "stat /dev/null", image)
    assert UUID in ask("dumpe2fs", "-h", image)


def test_a_tree_too_large_for_it(tmp_path: Path) -> None:
    """A size that does not hold the tree is refused before a byte is written, with the one that does (W8)."""
    with pytest.raises(StageError, match="is too small: the tree needs") as caught:
        make(tmp_path, "ext", 128 << 10)
    assert re.search(r"Set its size to \d+M\.", caught.value.hint)


def test_a_squashfs(tmp_path: Path) -> None:
    """Owners and modes are the tree's."""
    image, _ = make(tmp_path, "squashfs")
    listed = ask("unsquashfs", "-lln", "-d", "", image)
    assert re.search(r"-rwsr-xr-x 1000/70000 +5 .* /?file", listed)
    assert ask("unsquashfs", "-cat", image, "boot/vmlinuz-6.1").startswith("K" * 600)


def test_an_erofs(tmp_path: Path) -> None:
    """Owners, modes, links and content are the tree's; what only real root could give its files is told of."""
    image, told = make(tmp_path, "erofs-lz4")
    (tmp_path / "out").mkdir()
    ask("fsck.erofs", f"--extract={tmp_path}/out/tree", "--preserve-perms", "--no-preserve-owner", image)
    tree = tmp_path / "out/tree"
    assert (tree / "file").read_bytes() == (tree / "linked").read_bytes() == b"first"
    assert (tree / "file").stat().st_mode & 0o7777 == 0o4755
    assert (tree / "boot/initrd.img-6.1").read_bytes() == b"I" * 70
    assert (tree / "etc/fstab").read_text().startswith("# this tree was made without a disk")
    assert (tree / "link").readlink() == Path("/a/b")
    assert "Uid: 1000   Gid: 70000" in ask("dump.erofs", "--path=/file", image)
    assert len(told) == 1
    assert told[0].startswith("/file")
