"""An initramfs's form, byte by byte and as cpio itself reads it. W4, W16."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import cpio
from bootsmith.tasks.tree.layer import LayerWriter
from bootsmith.tasks.tree.merged import Tree

EPOCH = 1_755_331_200

GOLDEN = (
    b"070701" b"00000001" b"000041ED" b"00000000" b"00000000" b"00000002" b"68A03A80" b"00000000"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000004" b"00000000" b"dev\0" b"\0\0"
    b"070701" b"00000002" b"00002180" b"00000000" b"00000005" b"00000001" b"68A03A80" b"00000000"
    b"00000000" b"00000000" b"00000005" b"00000001" b"0000000C" b"00000000" b"dev/console\0" b"\0\0"
    b"070701" b"00000003" b"000081ED" b"00000000" b"00000000" b"00000001" b"68A03A80" b"00000005"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000005" b"00000000" b"init\0" b"\0"
    b"#!/x\n" b"\0\0\0"
    b"070701" b"00000004" b"0000A1FF" b"00000000" b"00000000" b"00000001" b"68A03A80" b"00000007"
    b"00000000" b"00000000" b"00000000" b"00000000" b"00000003" b"00000000" b"sh\0" b"\0\0\0"
    b"busybox" b"\0"
    b"070701" b"00000000" b"00000000" b"00000000" b"00000000" b"00000001" b"00000000" b"00000000"
    b"00000000" b"00000000" b"00000000" b"00000000" b"0000000B" b"00000000" b"TRAILER!!!\0" b"\0\0\0"
)  # fmt: skip


class Trunk:
    """Layers to be packed, one on the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layers: list[tuple[Path, Path]] = []

    def layer(self) -> LayerWriter:
        """Return a writer of one more layer."""
        stem = self.folder / str(len(self.layers))
        self.layers.append((stem.with_suffix(".index"), stem.with_suffix(".tar")))
        return LayerWriter(self.layers[-1][1], self.layers[-1][0], EPOCH)

    def packed(self) -> bytes:
        target = io.BytesIO()
        cpio.write(target, Tree([index for index, _ in self.layers], [tar for _, tar in self.layers]))
        return target.getvalue()

    def listed(self) -> list[str]:
        """Return what cpio lists, a line a member."""
        done = subprocess.run(["cpio", "-itvn"], input=self.packed(), capture_output=True, check=True)
        return done.stdout.decode().splitlines()


@pytest.fixture
def trunk(tmp_path: Path) -> Trunk:
    return Trunk(tmp_path)


def test_the_bytes(trunk: Trunk) -> None:
    """A folder, a device node, a script and a link are exactly these bytes, filled up to whole blocks."""
    with trunk.layer() as layer:
        layer.add_directory("dev")
        layer.add_device("dev/console", "c", 5, 1, mode=0o600, gid=5)
        layer.add_file("init", b"#!/x\n", 0o755)
        layer.add_symlink("sh", "busybox")
    assert trunk.packed() == GOLDEN.ljust(1024, b"\0")


def test_cpio_reads_what_layers_come_to(trunk: Trunk, tmp_path: Path) -> None:
    """What is removed is gone, what is replaced is new, folders come before what is in them; cpio unpacks it all."""
    with trunk.layer() as layer:
        layer.add_file("etc/old", b"old")
        layer.add_file("etc/kept", b"first")
    with trunk.layer() as layer:
        layer.add_whiteout("etc/old")
        layer.add_file("etc/kept", b"second")
        layer.add_file("etc.d", b"sorted after the folder")
        layer.add_fifo("pipe")
    names = [line.split()[-1] for line in trunk.listed()]
    assert names == ["etc", "etc/kept", "etc.d", "pipe"]
    target = tmp_path / "out"
    target.mkdir()
    subprocess.run(["cpio", "-i", "--quiet"], cwd=target, input=trunk.packed(), check=True)
    assert (target / "etc/kept").read_bytes() == b"second"
    assert (target / "pipe").is_fifo()


def test_hard_links_are_one_file(trunk: Trunk, tmp_path: Path) -> None:
    """Names of one file stay names of one file, its data held once."""
    with trunk.layer() as layer:
        layer.add_file("a", b"data" * 1000)
        layer.add_hard_link("b", "a")
        layer.add_hard_link("c/d", "a")
    assert trunk.packed().count(b"datadata") == 500
    assert {line.split()[1] for line in trunk.listed() if not line.startswith("d")} == {"3"}
    target = tmp_path / "out"
    target.mkdir()
    subprocess.run(["cpio", "-id", "--quiet"], cwd=target, input=trunk.packed(), check=True)
    assert (target / "a").read_bytes() == (target / "c/d").read_bytes() == b"data" * 1000
    assert (target / "a").stat().st_ino == (target / "b").stat().st_ino == (target / "c/d").stat().st_ino


def test_owners_are_the_trees(trunk: Trunk) -> None:
    """Owners beyond 16 bits are told as they are."""
    with trunk.layer() as layer:
        layer.add_file("x", b"", uid=70_000, gid=80_000)
    assert b"0001117000013880" in trunk.packed()


def test_what_the_form_cannot_hold_is_refused(trunk: Trunk) -> None:
    """An owner beyond 32 bits is an error that names the file."""
    with trunk.layer() as layer:
        layer.add_file("x", b"", uid=1 << 32)
    with pytest.raises(StageError, match="/x: its user"):
        trunk.packed()


def test_what_linux_would_pass_over_is_refused(trunk: Trunk) -> None:
    """Linux skips a name or a target longer than PATH_MAX without a word: it is an error here."""
    for path, target in (("/".join(["d" * 200] * 21), ""), ("link", "t" * 4096)):
        with trunk.layer() as layer:
            if target:
                layer.add_symlink(path, target)
            else:
                layer.add_file(path, b"x")
        with pytest.raises(StageError, match="longer than 4095 bytes, which Linux would pass over"):
            trunk.packed()
        trunk.layers.clear()
