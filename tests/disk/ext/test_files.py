"""Reading what a guest wrote: everything as debugfs sees it, and nothing believed that cannot be."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.disk.ext import files as files_of_ext
from bootsmith.tasks.disk.ext.files import Files
from bootsmith.tasks.disk.node import WINDOW, same
from bootsmith.tasks.errors import StageError

from tests.support.ext_image import read_tree
from tests.support.guest_disks import debugfs, sparse_copy

KINDS = {"f": "f", "d": "d", "l": "l", "c": "c", "b": "b", "p": "p"}


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A tree with one of everything an ordinary user can make."""
    top = tmp_path / "top"
    (top / "etc/deep/er").mkdir(parents=True)
    (top / "etc/motd").write_text("hello\n")
    (top / "etc/empty").touch()
    os.link(top / "etc/motd", top / "etc/deep/twin")
    (top / "short").symlink_to("etc/motd")
    (top / "long").symlink_to("x" * 200)
    os.mkfifo(top / "pipe", 0o640)
    (top / "tool").write_bytes(random.Random(1).randbytes(3 * WINDOW + 12345))
    (top / "tool").chmod(0o4755)
    os.setxattr(top / "tool", "user.note", b"v" * 900)  # too long for the inode
    os.setxattr(top / "etc", "user.short", b"value")
    with (top / "sparse").open("wb") as file:
        file.seek(5 * WINDOW)
        file.write(b"end")
    many = top / "many"
    many.mkdir()
    for number in range(600):  # several blocks, with an index
        (many / f"a file with a rather long name, number {number:06}").touch()
    os.utime(top / "etc/empty", (-5, -5))
    return top


@pytest.fixture(name="image")
def fixture_image(top: Path, tmp_path: Path) -> Path:
    """That tree as mke2fs writes it."""
    return made(top, tmp_path / "fs.img", "ext4")


def made(top: Path, image: Path, kind: str, block: int = 4096) -> Path:
    """Have mke2fs make a filesystem of a tree."""
    words = ["mke2fs", "-q", "-F", "-t", kind, "-b", str(block), "-I", "256", "-O", "^orphan_file,^metadata_csum_seed"]
    subprocess.run([*words, "-d", top, image, "32M"], check=True, capture_output=True)
    return image


@pytest.mark.parametrize("kind", ["ext4", "ext3", "ext2"])
def test_everything_is_as_debugfs_reads_it(top: Path, tmp_path: Path, kind: str) -> None:
    """Kinds, modes, owners, times, targets, attributes, contents and links of a whole tree (A2, A4).

    Blocks are mapped by extents in ext4, by lists of lists in the others.
    """
    image = made(top, tmp_path / "fs.img", kind, block=1024 if kind == "ext2" else 4096)
    late = f"sif etc/motd mtime_extra {123_456_789 << 2 | 1}"  # 136 years later, and not on the second
    debugfs(image, "mknod disk b 8 300", "ln /etc/motd /third", "sif etc/motd mtime 0x2A05F200", late)
    expected = read_tree(image)
    with Files(image) as files:
        tree = files.tree()
        assert tree.keys() == expected.keys()
        for path, node in tree.items():
            there = expected[path]
            assert (node.kind, node.mode, node.uid, node.gid) == (there.kind, there.mode & 0o7777, there.uid, there.gid)
            assert (node.inode, node.mtime // 1_000_000_000) == (there.inode, there.mtime), path
            content = files.read(node, 0, node.size) if node.kind == "f" else node.target
            assert content == there.content, path
            assert node.xattrs == there.xattrs, path
            assert node.kind not in "cb" or node.device == there.device
        assert tree[b"etc/motd"].mtime == 5_000_000_000_123_456_789
        assert tree[b"etc/motd"].inode == tree[b"etc/deep/twin"].inode == tree[b"third"].inode
        assert files.windows(tree[b"sparse"]) == {5}
        assert not files.has_strays()


def test_access_control_lists_come_as_system_calls_take_them(image: Path, top: Path) -> None:
    """What setfacl set on a file is what is read of the disk made of it."""
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *each)
        for each in ((1, 6, 0xFFFFFFFF), (2, 4, 1234), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF))
    )
    try:
        os.setxattr(top / "etc/motd", "system.posix_acl_access", acl)
    except OSError:
        (top / "acl").write_bytes(acl)  # a file system without: debugfs writes it, which converts it as well
    again = image.with_name("again.img")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", top, again, "32M"], check=True, capture_output=True)
    if (top / "acl").exists():
        debugfs(again, f"ea_set -f {top}/acl etc/motd system.posix_acl_access")
    with Files(again) as files:
        assert files.tree()[b"etc/motd"].xattrs["system.posix_acl_access"] == acl


def test_files_are_compared_by_what_they_hold(image: Path, top: Path, tmp_path: Path) -> None:
    """The same bytes elsewhere on another disk are the same; one byte is not; a hole is zeros."""
    with (top / "sparse").open("r+b") as file:
        file.write(bytes(WINDOW))  # zeros that are written, where a hole was
    (top / "twin").write_bytes((top / "tool").read_bytes()[:-1] + b"\0")
    other = tmp_path / "other.img"
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", top, other, "48M"], check=True, capture_output=True)
    with Files(image) as here, Files(other) as there:
        one, two = here.tree(), there.tree()
        for name in (b"tool", b"sparse", b"etc/motd", b"etc/empty"):
            assert same((here, one[name]), (there, two[name])), name
        assert not same((here, one[b"tool"]), (there, two[b"twin"]))
        assert not same((here, one[b"etc/empty"]), (there, two[b"etc/motd"]))


def patched(image: Path, old: bytes, new: bytes) -> None:
    """Replace bytes wherever they stand in a disk."""
    data = image.read_bytes()
    assert old in data
    image.write_bytes(data.replace(old, new))


def in_superblock(image: Path, offset: int, form: str, value: int) -> None:
    with image.open("r+b") as file:
        file.seek(1024 + offset)
        file.write(struct.pack(form, value))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda image: patched(image, b"\4\1motd", b"\4\1../x"), r"holds the name b'\.\./x'"),
        (lambda image: patched(image, b"\4\1motd", b"\4\1a/bc"), "holds the name b'a/bc'"),
        (lambda image: patched(image, b"\4\1motd", b"\4\1a\0bc"), "holds the name"),
        (lambda image: patched(image, b"\5\7short", b"\4\7many\0"), "holds the name b'many'"),
        (lambda image: debugfs(image, "ln etc etc/deep/loop"), "/etc/deep/loop has two names"),
        (lambda image: debugfs(image, "sif etc/motd mode 0"), "makes no sense"),
        (lambda image: debugfs(image, "sif long size 100000"), "leads nowhere"),
        (lambda image: debugfs(image, "sif etc size 0x7fffffffffff0000"), "larger than its disk"),
        (lambda image: debugfs(image, "sif etc size 8192"), "makes no sense"),
        (lambda image: debugfs(image, "sif tool flags 0"), "there is no block"),
        (lambda image: debugfs(image, "sif tool flags 0x80800"), "is encrypted"),
        (lambda image: debugfs(image, "sif tool flags 0x10080000"), "is inline"),
        (lambda image: debugfs(image, "sif tool block[5] 0x7fffffff"), "there is no block"),
        (lambda image: in_superblock(image, 0x3A, "<H", 0), "was not unmounted"),
        (lambda image: in_superblock(image, 0x3A, "<H", 2), "was not unmounted"),
        (lambda image: in_superblock(image, 0xE8, "<I", 12), "was not unmounted"),
        (lambda image: in_superblock(image, 0x60, "<I", 0x82C2), "has the feature inline_data"),
        (lambda image: in_superblock(image, 0x64, "<I", 0x200), "has the feature bigalloc"),
        (lambda image: in_superblock(image, 0x28, "<I", 0), "makes no sense"),
        (lambda image: in_superblock(image, 0x38, "<H", 0), "no superblock"),
        (lambda image: os.truncate(image, 100), "no superblock"),
        (lambda image: os.truncate(image, 1 << 20), "cut short"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_is_refused(image: Path, spoil: Callable[[Path], None], said: str) -> None:
    """Names that lead out of the tree, folders in circles, numbers that point nowhere, features that are not read."""
    spoil(image)
    with pytest.raises(StageError, match=said):
        read_all(image)


def read_all(image: Path) -> int:
    """Read a whole disk; return how many files it has."""
    with Files(image) as files:
        tree = files.tree()
        for node in tree.values():
            if node.kind == "f":
                for number in files.windows(node):
                    files.read(node, number * WINDOW, WINDOW)
        files.has_strays()
        return len(tree)


@pytest.mark.soak(ci=150, whole=20_000)
def test_rubbish_is_refused_or_read(image: Path, rounds: int) -> None:
    """Bytes changed at random where the filesystem keeps its books: a StageError or a tree, and nothing else."""
    whole = image.read_bytes()
    seed = random.Random(7)
    books = [at for at in range(0, len(whole), 4096) if any(whole[at : at + 4096])][:400]
    refused = 0
    for _ in range(rounds):
        places = [seed.choice(books) + seed.randrange(4096) for _ in range(seed.choice((1, 3, 30)))]
        with image.open("r+b", buffering=0) as file:
            for at in places:
                os.pwrite(file.fileno(), bytes([seed.choice((0, 1, 0x7F, 0x80, 0xFF, seed.randrange(256)))]), at)
            try:
                assert read_all(image)
            except StageError:
                refused += 1
            for at in places:
                os.pwrite(file.fileno(), whole[at : at + 1], at)
    assert refused


@pytest.mark.parametrize(("bound", "what"), [("LONGEST", "longer paths than Linux"), ("MOST_LETTERS", "more names")])
def test_paths_are_bounded(image: Path, monkeypatch: pytest.MonkeyPatch, bound: str, what: str) -> None:
    """A hundred thousand folders in each other would be paths of gigabytes: beyond a bound they are refused."""
    monkeypatch.setattr(files_of_ext, bound, 30)
    with Files(image) as files, pytest.raises(StageError, match=f"{what}.*, such as /"):
        files.tree()


@pytest.mark.parametrize("kind", ["ext4", "ext2"])
def test_files_with_more_blocks_than_the_disk_are_refused(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Files that all claim the same blocks would be read for ever: together they have no more than some times all."""
    image = made(top, tmp_path / "fs.img", kind)
    assert read_all(image)
    monkeypatch.setattr(files_of_ext, "_SHARED", 0.01)
    with pytest.raises(StageError, match="more blocks than it could hold"):
        read_all(image)


def test_a_clean_copy_is_still_clean(image: Path, tmp_path: Path) -> None:
    """Reading changes nothing."""
    before = sparse_copy(image, tmp_path / "copy.img").read_bytes()
    read_all(image)
    assert image.read_bytes() == before
