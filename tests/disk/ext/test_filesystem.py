"""Files in ext filesystems, as debugfs reads them back."""

from __future__ import annotations

import copy
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.disk.ext import filesystem
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import foreign_tar
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.layer import LayerWriter
from bootsmith.tasks.tree.tar import Entry

from tests.support.disk_build import DiskBuild
from tests.support.ext_image import Node, check, commands, read_tree
from tests.support.tar_members import EPOCH, Member, member

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_raw=ep
ACL = bytes.fromhex(
    "02000000 01000700ffffffff 02000500e8030000 04000500ffffffff 10000500ffffffff 20000000ffffffff"
)  # u::rwx,u:1000:r-x,g::r-x,m::r-x,o::---
BIG = random.Random(1).randbytes(10 << 20)
HOLLOW = b"begin" + bytes((5 << 20) - 10) + b"end"

ODD = {
    "spaces  and 'quotes' and \"more\"": b"1",
    "new\nline": b"2",
    "back\\slash and $dollar `tick`": b"3",
    "\udcff\udcfenot utf-8": b"4",
    "grün-日本語": b"5",
    "-dash": b"6",
    " ": b"7",
    "n" * 255: b"8",
}

TREE: dict[str, Any] = {
    "./": member("d", mode=0o751, uid=3, gid=4, mtime=1_600_000_000),
    "etc": member("d", mtime=1_500_000_000),
    "etc/passwd": member(data=b"root:x:0:0\n", mode=0o640, uid=0, gid=42, mtime=1_400_000_000),
    "etc/empty": member(),
    "usr": member("d"),
    "usr/bin": member("d", mode=0o2755, uid=70000, gid=80000),
    "usr/bin/su": member(data=b"\x7fELF", mode=0o4755),
    "usr/bin/ping": member(data=b"\x7fELF ping", mode=0o755, xattrs={"security.capability": CAPABILITY}),
    "usr/bin/[": member("l", linkname="test"),
    "usr/bin/test": member(data=b"test", mode=0o755),
    "usr/bin/toast": member("h", linkname="usr/bin/test"),
    "usr/other": member("h", linkname="usr/bin/test"),
    "lib": member("l", linkname="usr/lib"),
    "long": member("l", linkname="x/" * 200 + "end"),
    "sixty": member("l", linkname="s" * 60),
    "fiftynine": member("l", linkname="s" * 59),
    "tmp": member("d", mode=0o1777),
    "dev": member("d"),
    "dev/console": member("c", mode=0o600, devmajor=5, devminor=1, gid=5),
    "dev/sda": member("b", mode=0o660, devmajor=8, devminor=0),
    "dev/far": member("c", devmajor=300, devminor=70000),
    "run": member("d"),
    "run/fifo": member("p", mode=0o620),
    "var": member("d"),
    "var/big": member(data=BIG, mtime=4_000_000_000),
    "var/hollow": member(data=HOLLOW),
    "var/zeros": member(data=bytes(3 << 20)),
    "var/acl": member("d", mode=0o750, xattrs={f"system.posix_acl_{kind}": ACL for kind in ("access", "default")}),
    "var/noted": member(data=b"x", xattrs={"user.long": b"v" * 1000, "user.short": b"\0\xff\n", "trusted.t": b""}),
    "odd": member("d"),
    **{f"odd/{name}": data for name, data in ODD.items()},
    **{"deep" + "/d" * depth: member("d") for depth in range(40)},
    "deep" + "/d" * 39 + "/file": b"bottom",
    "many": member("d"),
    **{f"many/{number:05}-{'x' * (number % 90)}": b"%d" % number for number in range(1500)},
}  # fmt: skip


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    return DiskBuild(tmp_path, monkeypatch)


def expect(found: dict[bytes, Node], tree: dict[str, Any]) -> None:
    """Fail unless an image holds exactly `tree`."""
    wanted = {
        name.strip("/").removeprefix("."): member(data=what) if isinstance(what, bytes) else what
        for name, what in tree.items()
    }
    assert sorted(found) == sorted(name.encode("utf-8", "surrogateescape") for name in wanted)
    links = [name for name, what in wanted.items() if what.islnk()]
    for name, what in wanted.items():
        node = found[name.encode("utf-8", "surrogateescape")]
        if what.islnk():
            assert node.inode == found[what.linkname.encode()].inode, name
            continue
        assert (node.mode, node.uid, node.gid, node.mtime) == (what.mode, what.uid, what.gid, what.mtime), name
        assert node.ctime == EPOCH, name
        if what.isdir():
            folders = [other for other, each in wanted.items() if other and each.isdir()]
            subdirectories = sum(other.rpartition("/")[0] == name for other in folders)
            assert (node.kind, node.links) == ("d", 2 + subdirectories + (not name)), name  # lost+found in the root
        elif what.issym():
            assert (node.kind, node.content) == ("l", what.linkname.encode()), name
        elif what.ischr() or what.isblk():
            assert (node.kind, node.device) == ("c" if what.ischr() else "b", (what.devmajor, what.devminor)), name
        elif what.isfifo():
            assert node.kind == "p", name
        else:
            assert (node.kind, node.content) == ("f", what.data), name
            assert node.links == 1 + sum(wanted[link].linkname == name for link in links), name
        assert node.xattrs == xattrs(what), name


def xattrs(what: Member) -> dict[str, bytes]:
    """Return a member's attributes as debugfs prints them: an ACL's entry without an id has 0, not -1."""
    found = {}
    for key, text in what.pax_headers.items():
        name, value = key.removeprefix("SCHILY.xattr."), text.encode("utf-8", "surrogateescape")
        found[name] = value.replace(b"\xff" * 4, bytes(4)) if name.startswith("system.posix_acl") else value
    return found


@pytest.mark.parametrize("fs", ["ext4", "ext3", "ext2"])
def test_the_base_filesystem_holds_every_kind_of_file_as_the_tar_has_it(build: DiskBuild, fs: str) -> None:
    """Owners, modes, setuid, capabilities, ACLs, links, devices, odd names, times and contents survive (A2)."""
    build.write_recipe(f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, fs: {fs}}}}}}}\n")
    build.base(TREE)
    build.run("partition", "populate/base")
    image = build.site.base_image("root")
    check(image)
    expect(read_tree(image), TREE)


def laid_over(tree: dict[str, Any]) -> Any:
    """Return a function that writes a tree into a layer."""

    def write(writer: LayerWriter) -> None:
        for name, what in tree.items():
            path = name.strip("/").removeprefix(".")
            each = member(data=what) if isinstance(what, bytes) else what
            attributes = {key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
                          for key, value in each.pax_headers.items()}  # fmt: skip
            if each.isdir():
                writer.add_directory(path, each.mode, each.uid, each.gid, attributes)
            elif each.issym():
                writer.add_symlink(path, each.linkname)
            elif each.islnk():
                writer.add_hard_link(path, each.linkname)
            elif each.ischr() or each.isblk():
                kind = "c" if each.ischr() else "b"
                numbers = each.devmajor, each.devminor
                writer.add_device(path, kind, *numbers, mode=each.mode, uid=each.uid, gid=each.gid)
            elif each.isfifo():
                writer.add_fifo(path, each.mode)
            else:
                writer.add_file(path, each.data, each.mode, each.uid, each.gid, attributes)

    return write


@pytest.mark.parametrize(
    ("fs", "most", "where"),
    [("ext4", {True: 5, False: 9}, "a"), ("ext2", {True: 9, False: 5}, "a"), ("ext2", {False: 4}, "d")],
)
def test_more_links_than_are_counted_are_refused(
    build: DiskBuild, monkeypatch: pytest.MonkeyPatch, fs: str, most: dict[bool, int], where: str
) -> None:
    """A file with one name more than its filesystem can count, or a folder with one subfolder more, is named."""
    build.write_recipe(f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, fs: {fs}}}}}}}\n")
    monkeypatch.setattr(filesystem, "MOST_LINKS", most)
    names: dict[str, Any] = {f"l{number}": member("h", linkname="a") for number in range(5 if where == "a" else 0)}
    folders: dict[str, Any] = {f"d/{number}": member("d") for number in range(3 if where == "d" else 0)}
    build.base({"a": b"a", "d": member("d"), **names, **folders})
    with pytest.raises(
        StageError, match=f"partition root: /{where} has [56] links, and this filesystem counts no more"
    ):
        build.run("partition", "populate/base")


def test_as_many_links_as_are_counted(build: DiskBuild) -> None:
    """The numbers are Linux's: a file of 32,000 names in ext2 is one to e2fsck, and one more is refused."""
    build.write_recipe("disk: {partitions: {esp: {size: 64M}, root: {mount: /, fs: ext2}}}\n")
    names: dict[str, Any] = {f"{number // 1000}/{number}": member("h", linkname="a") for number in range(31_999)}
    build.base({"a": b"a", **{f"{number}": member("d") for number in range(32)}, **names})
    build.run("partition", "populate/base")
    check(build.site.base_image("root"))


SPARSE = """
import sys
with open(sys.argv[1], "wb") as file:
    for number in range(700):
        file.seek(number * 40960 + 1000)
        file.write(b"x" * (number % 5000 + 1))
    file.truncate(int(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("fs", "size"), [("ext4", (1 << 44) - 4096), ("ext3", (1 << 41) - (5 << 30)), ("ext2", 30 << 20)]
)
def test_holes_stay_holes(build: DiskBuild, tmp_path: Path, fs: str, size: int) -> None:
    """A sparse file of a tar takes the room of its data, however large it says to be, and leaves none behind (A2)."""
    subprocess.run([sys.executable, "-c", SPARSE, tmp_path / "holes", str(size)], check=True)
    subprocess.run(["tar", "--sparse", "-cf", tmp_path / "t.tar", "-C", tmp_path, "holes"], check=True)
    build.write_recipe(f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, fs: {fs}}}}}}}\n")
    build.base({})
    shutil.copy(tmp_path / "t.tar", build.site.base.tar)
    foreign_tar.index(build.site.base.tar, build.site.base.index)
    with build.delta("1-remove") as writer:
        writer.add_whiteout("holes")
    build.run("partition", "populate/base", "populate/root")
    image = build.site.base_image("root")
    check(image)
    (stat, listed) = commands(image, ["stat holes", "blocks holes"])
    assert f"Size: {size}\n".encode() in stat
    assert 700 <= len(listed.split()) < 2600
    if size < 1 << 30:
        commands(image, [f"dump holes {tmp_path}/dumped"])
        assert (tmp_path / "dumped").read_bytes() == (tmp_path / "holes").read_bytes()
    check(build.site.partition_image("root"))
    assert list(read_tree(build.site.partition_image("root"))) == [b""]


@pytest.mark.parametrize(("fs", "size"), [("ext4", 1 << 44), ("ext2", 1 << 41)])
def test_a_file_larger_than_can_be_said_is_refused(build: DiskBuild, fs: str, size: int) -> None:
    """Sixteen tebibytes in ext4, two in ext2 and ext3: beyond, the size is refused by the file's name."""
    build.write_recipe(f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, fs: {fs}}}}}}}\n")
    build.base({})
    entry = Entry("holes", "f", size=size, stretches=())
    build.site.base.tar.write_bytes(tars.header(entry) + tars.END)
    foreign_tar.index(build.site.base.tar, build.site.base.index)
    with pytest.raises(StageError, match=f"/holes has {size} bytes, and this filesystem's files at most"):
        build.run("partition", "populate/base")


def dated(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a tree as a layer has it: every time is the epoch."""
    found = {}
    for name, what in tree.items():
        found[name] = what
        if not isinstance(what, bytes):
            found[name] = copy.copy(what)
            found[name].mtime = EPOCH
    return found


@pytest.mark.parametrize("fs", ["ext4", "ext2"])
def test_a_layer_puts_every_kind_of_file_into_the_base(build: DiskBuild, fs: str) -> None:
    """What is laid over the base arrives in the filesystem exactly as what is in the base itself."""
    build.write_recipe(f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, fs: {fs}}}}}}}\n")
    build.base({"etc": member("d"), "etc/hostname": b"base", "stays": b"stays"})
    with build.delta("1-overlay") as writer:
        laid_over(TREE)(writer)
    build.run("partition", "populate/base", "populate/root")
    image = build.site.partition_image("root")
    check(image)
    expect(read_tree(image), {**dated(TREE), "etc/hostname": b"base", "stays": b"stays"})


def test_a_layer_replaces_removes_and_changes_what_the_base_has(build: DiskBuild) -> None:
    """A file becomes a directory and the reverse, links lose names, directories change owner, whiteouts remove."""
    build.write_recipe("boot: {place: esp}\ndisk: {partitions: {esp: {size: 64M}, root: {mount: /}}}\n")
    build.base(TREE)
    with build.delta("1-changes") as writer:
        writer.add_file("etc/passwd", b"changed")
        writer.add_file("usr/bin/test", b"one name of three replaced")
        writer.add_whiteout("usr/other")
        writer.add_file("many", b"was a directory")
        writer.add_directory("etc/empty", 0o700)
        writer.add_file("etc/empty/inside", b"was a file")
        writer.add_directory("var/acl", 0o711, 7, 8, {"user.other": b"new"})
        writer.add_directory("usr/bin", 0o755)
        writer.add_opaque("dev")
        writer.add_whiteout("deep/d/d")
        writer.add_hard_link("var/big2", "var/big")
        writer.add_symlink("fiftynine", "t" * 100)
    build.run("partition", "populate/base", "populate/root")
    image = build.site.partition_image("root")
    check(image)
    wanted = {name: what for name, what in TREE.items() if not name.startswith(("many", "dev/", "deep/d/d"))}
    del wanted["usr/other"]
    wanted |= {
        "etc/passwd": b"changed",
        "usr/bin/test": b"one name of three replaced",
        "usr/bin/toast": member(data=b"test", mode=0o755),
        "many": b"was a directory",
        "etc/empty": member("d", mode=0o700),
        "etc/empty/inside": b"was a file",
        "var/acl": member("d", mode=0o711, uid=7, gid=8, xattrs={"user.other": b"new"}),
        "usr/bin": member("d"),
        "var/big2": member("h", linkname="var/big"),
        "fiftynine": member("l", linkname="t" * 100),
    }
    expect(read_tree(image), wanted)


def test_the_first_form_of_ext2(build: DiskBuild) -> None:
    """Revision 0, small inodes, entries without types: written, changed in place and clean, as Lites reads it (L1)."""
    form = 'inode_size: 128, features: [none], mkfs: [-r, "0"]'
    build.write_recipe(f"disk: {{partitions: {{esp: {{size: 64M}}, root: {{mount: /, fs: ext2, {form}}}}}}}\n")
    kept = {
        "./": member("d"),
        "bin": member("d"),
        "bin/su": member(data=b"su" * 5000, mode=0o4755, uid=7),
        "bin/sh": member("l", linkname="su"),
        "bin/long": member("l", linkname="x/" * 100 + "end"),
        "bin/same": member("h", linkname="bin/su"),
        "dev": member("d"),
        "dev/console": member("c", mode=0o600, devmajor=5, devminor=1),
        "etc": member("d"),
        **{f"etc/{number:03}-{'x' * (number % 60)}": b"%d" % number for number in range(300)},
    }
    build.base({**kept, "old": member("d"), "old/sub": member("d"), "old/sub/file": b"old", "etc/gone": b"gone"})
    with build.delta("change") as layer:
        layer.add_whiteout("old")
        layer.add_whiteout("etc/gone")
        layer.add_file("etc/new", b"new")
        layer.add_hard_link("sh2", "bin/su")
    build.run("partition", "populate/base", "populate/root")
    image = build.site.partition_image("root")
    check(image)
    with image.open("rb") as file:
        superblock = file.read(2048)[1024:]
    assert superblock[0x4C:0x50] == bytes(4)  # the revision
    assert superblock[0x5C:0x68] == bytes(12)  # no feature
    found = read_tree(image)
    added = {"etc/new": member(data=b"new"), "sh2": member("h", linkname="bin/su")}
    expect({name: node for name, node in found.items() if not name.startswith(b"boot")}, {**kept, **added})
