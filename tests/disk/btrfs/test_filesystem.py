"""A btrfs with a tree in it: sound to its own check, read back by its own tool and by ours, twice the same bytes."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk.btrfs import checksum, filesystem, space
from bootsmith.tasks.disk.btrfs.files import BtrfsFiles
from bootsmith.tasks.disk.content import Tree
from bootsmith.tasks.disk.ext.library import library
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.disk.superblock import probe_any
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.layer import LayerWriter
from bootsmith.tasks.tree.tar import Entry

UUID = "7c9d35e2-0a5e-4c3b-9d1f-5b6f5d0a7e41"
EPOCH = 1_700_000_000
LARGE = random.Random(1).randbytes(5_000_001)
CRC = checksum.load(library(host.find("mke2fs")))
MIB = 1 << 20


def lay(folder: Path, many: int = 3, names: int = 500) -> tuple[Tree, list[Path]]:
    """Return a tree with every kind of file, and the tar that has its data."""
    folder.mkdir(exist_ok=True)
    tar, index = folder / "tar", folder / "index"
    with LayerWriter(tar, index, 5) as writer:
        writer.add_directory("", 0o751, 0, 7)
        writer.add_file("large", LARGE, 0o4755, 1000, 70000)
        writer.add_file("small", b"hello\n")
        writer.add_file("empty", b"")
        writer.add_file("at the edge", b"e" * space.INLINE)
        writer.add_file("over it", b"o" * (space.INLINE + 1))
        writer.add_symlink("link", "/" + "a" * 3000)
        writer.add_device("null", "c", 1, 3, mode=0o666)
        writer.add_device("disk", "b", 259, 70000, mode=0o660)
        writer.add_directory("many", 0o1777)
        writer.add_file("many/\udcff odd\n", b"odd", xattrs={"user.note": b"n" * 300, "security.x": b""})
        for number in range(many):
            writer.add_file(f"many/file {number}", b"%d" % number * (number % 700))
        for number in range(names):  # more than one item holds
            writer.add_hard_link(f"many/a name of the large file, one of very many, {number}", "large")
    tree = dict(layer.merge([layer.read_index(index)]))
    tree["holes"] = (
        0,
        Entry("holes", "f", size=9 * MIB, offset=tree["large"][1].offset, stretches=((4097, 10), (8 * MIB, MIB))),
    )
    return tree, [tar]


def make(folder: Path, *, size: int = 0, tree: Tree | None = None, many: int = 3, names: int = 500) -> Path:
    """Write that tree, or another of the same tar; as large as it needs."""
    laid, sources = lay(folder, many, names)
    tree = laid if tree is None else tree
    filesystem.write(folder / "image", size or space.Demand(tree).least(), tree, sources, UUID, "a label", EPOCH, CRC)
    return folder / "image"


def checked(image: Path) -> str:
    """Return what `btrfs check` says, which must find nothing."""
    words = ["btrfs", "check", "--readonly", "--check-data-csum", image]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "no error found" in done.stdout
    return done.stdout + done.stderr


def walked(files: BtrfsFiles, path: bytes, node: Node) -> dict[bytes, Node]:
    found = {path: node}
    for name, child in files.children(path, node):
        below = path + b"/" + name if path else name
        found |= walked(files, below, child) if child.kind == "d" else {below: child}
    return found


def test_what_is_in_it(tmp_path: Path) -> None:
    """Owners, modes, times, links, devices, holes, attributes, odd names and very many names of one file (A2, C12)."""
    image = make(tmp_path)
    checked(image)
    with image.open("rb") as file:
        assert probe_any(lambda at, length: os.pread(file.fileno(), length, at)).kind == "btrfs"  # type: ignore[union-attr]
        files = BtrfsFiles(image, file.fileno(), 0, image.stat().st_size)
        found = walked(files, b"", files.root)
        assert (found[b""].mode, found[b""].gid) == (0o751, 7)
        large = found[b"large"]
        assert (large.mode, large.uid, large.gid, large.mtime) == (0o4755, 1000, 70000, EPOCH * 10**9)
        assert files.read(large, 0, 9 * MIB) == LARGE
        assert files.read(large, 1_234_567, 10) == LARGE[1_234_567:1_234_577]
        names = [path for path, node in found.items() if node.inode == large.inode]
        assert len(names) == 501
        assert files.read(found[b"at the edge"], 0, 9999) == b"e" * space.INLINE
        assert files.read(found[b"over it"], 0, 9999) == b"o" * (space.INLINE + 1)
        assert files.read(found[b"empty"], 0, 9) == b""
        assert found[b"link"].target == b"/" + b"a" * 3000
        assert (found[b"null"].kind, found[b"null"].device, found[b"disk"].device) == ("c", (1, 3), (259, 70000))
        assert found[b"many"].mode == 0o1777
        assert found[b"many/\xff odd\n"].xattrs == {"user.note": b"n" * 300, "security.x": b""}
        holes = found[b"holes"]
        whole = bytearray(9 * MIB)
        whole[4097:4107], whole[8 * MIB :] = LARGE[:10], LARGE[10 : 10 + MIB]
        assert files.read(holes, 0, 9 * MIB) == whole
        assert files.windows(holes) == {0, 8}
        assert holes.size == 9 * WINDOW
    (tmp_path / "out").mkdir()
    some = "^/(|large|many(|/file 2))$"
    subprocess.run(["btrfs", "restore", "--path-regex", some, image, tmp_path / "out"], check=True, capture_output=True)
    assert (tmp_path / "out/large").read_bytes() == LARGE
    assert (tmp_path / "out/many/file 2").read_bytes() == b"22"


def test_twice_the_same_bytes(tmp_path: Path) -> None:
    """The filesystem follows from the tree, its UUID and its label alone (V11)."""
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_blocks * 512 < 12 * MIB, "holes were written"


def test_folders_that_are_subvolumes(tmp_path: Path) -> None:
    """Each is a tree of its own, in the other's folder: read as a folder, told by its own tool as a subvolume."""
    tree, sources = lay(tmp_path)
    tree["var"] = tree["var/log"] = tree["var/log/old"] = (0, Entry("", "d", 0o711, 3))
    tree = {path: (number, entry._replace(path=path)) for path, (number, entry) in tree.items()}
    tree["var/log/file"] = (0, tree["large"][1]._replace(path="var/log/file"))
    image, volumes = tmp_path / "image", ("var/log", "many", "home/none", "var/log/old")
    size = space.Demand(tree, volumes).least()
    filesystem.write(image, size, tree, sources, UUID, "", EPOCH, CRC, volumes)
    checked(image)
    listed = subprocess.run(
        ["btrfs", "restore", "--list-roots", image], capture_output=True, text=True, check=True
    ).stdout
    assert [f"tree key ({number} ROOT_ITEM 0)" in listed for number in range(256, 261)] == [True] * 4 + [False]
    with image.open("rb") as file:
        files = BtrfsFiles(image, file.fileno(), 0, size)
        found = walked(files, b"", files.root)
        assert files.read(found[b"var/log/file"], 0, 9 * MIB) == LARGE
        assert (found[b"var/log"].mode, found[b"var/log"].uid, found[b"var/log/old"].mode) == (0o711, 3, 0o711)
        assert found[b"home/none"].kind == "d"
        assert found[b"many/file 2"].size == 2
        inodes = [found[path].inode for path in (b"", b"var/log", b"many", b"home/none", b"var/log/old")]
    assert len({inode >> 64 for inode in inodes}) == 5


def test_many_files_take_trees_of_several_levels(tmp_path: Path) -> None:
    """Thousands of files, and a disk beyond the second superblock, are as sound as a few."""
    image = make(tmp_path, many=9000, size=400 * MIB)
    assert "found" in checked(image)
    with image.open("rb") as file:
        files = BtrfsFiles(image, file.fileno(), 0, image.stat().st_size)
        found = walked(files, b"", files.root)
    assert len(found) == 9000 + 500 + 12


def test_as_large_as_it_must_be(tmp_path: Path) -> None:
    """The least size holds the tree, a MiB less does not, and free space that is promised is there (C2, W8)."""
    tree, _ = lay(tmp_path)
    demand = space.Demand(tree)
    least = demand.least()
    assert demand.fits(least)
    assert not demand.fits(least - MIB)
    with pytest.raises(filesystem.Full):
        make(tmp_path / "full", size=least - MIB)
    image = make(tmp_path / "free", size=demand.automatic(300 * MIB))
    checked(image)
    with image.open("rb") as file:
        found = probe_any(lambda at, length: os.pread(file.fileno(), length, at))
    assert found is not None
    assert found.available is not None
    assert found.available >= 300 * MIB


def test_what_cannot_be_in_it_is_refused_by_name(tmp_path: Path) -> None:
    """An attribute larger than a leaf, a name longer than Linux takes."""
    tree, _ = lay(tmp_path)
    for path, entry, what in (
        ("many/a", Entry("many/a", "p", xattrs={"user.a": bytes(17_000)}), r"/many/a: its attribute user\.a is larger"),
        ("n" * 256, Entry("n" * 256, "p"), "its name has more than 255 bytes"),
    ):
        with pytest.raises(StageError, match=what):
            make(tmp_path / path[:8].replace("/", ""), tree=tree | {path: (0, entry)})
