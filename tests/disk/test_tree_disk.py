"""A directory or a tar becomes a disk without loader, its kernel and initrd beside it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import unpartitioned as stages
from bootsmith.tasks.tree import installed_kernel as kernels

from tests.support.ext_image import read_tree
from tests.support.kernel_files import bzimage, cpio
from tests.support.single_stage import run_stage


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path) -> Site:
    return Site("tree", tmp_path / "build", tmp_path / "none.lock", 0)


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A tree with two kernels, of which the newer has an initrd."""
    top = tmp_path / "top"
    for folder in ("boot", "etc", "sbin"):
        (top / folder).mkdir(parents=True)
    (top / "boot/vmlinuz-6.1.0-9-amd64").write_bytes(bzimage("old"))
    (top / "boot/vmlinuz-6.1.0-10-amd64").write_bytes(bzimage("new"))
    (top / "boot/initrd.img-6.1.0-9-amd64").write_bytes(cpio({"old": b""}))
    (top / "boot/initrd.img-6.1.0-10-amd64").write_bytes(cpio({"new": b""}))
    (top / "sbin/init").write_bytes(b"init")
    (top / "sbin/init").chmod(0o4755)
    os.link(top / "sbin/init", top / "sbin/twin")
    (top / "etc/link").symlink_to("/sbin/init")
    (top / "..data").write_text("its name is odd")
    return top


def packed(top: Path, name: str, *words: str) -> Path:
    """Return a tar of a tree."""
    file = top.parent / name
    subprocess.run(["tar", "--owner=0", "--group=0", *words, "-cf", file, "-C", top, "."], check=True)
    return file


def check_tree(site: Site) -> None:
    """Look at what the disk holds."""
    disk = stages.disk(site)
    subprocess.run(["e2fsck", "-fn", disk], check=True, capture_output=True)
    found = read_tree(disk)
    assert found[b"sbin/init"].inode == found[b"sbin/twin"].inode
    assert (found[b"sbin/init"].mode & 0o7777, found[b"sbin/init"].uid, found[b"sbin/init"].links) == (0o4755, 0, 2)
    assert found[b"etc/link"].content == b"/sbin/init"
    assert found[b"..data"].content == b"its name is odd"
    assert (site.kernel.read_bytes(), site.initrd.read_bytes()) == (bzimage("new"), cpio({"new": b""}))


def test_a_directory(top: Path, site: Site, tmp_path: Path) -> None:
    """The newest kernel and its initrd are taken out; the disk holds the tree, root's inside (A4, A2)."""
    run_stage(stages.of_directory(top, site, kernel=True), tmp_path / "work")
    check_tree(site)


@pytest.mark.parametrize("packing", [(), ("--gzip",), ("--zstd",), ("--xz",)])
def test_a_tar(top: Path, site: Site, tmp_path: Path, packing: tuple[str, ...]) -> None:
    """A tar, plain or packed whatever its name, becomes the same (A3)."""
    run_stage(stages.of_tar(packed(top, "tree.tgz", *packing), site, kernel=True), tmp_path / "work")
    check_tree(site)


def test_the_same_tree_is_the_same_disk(top: Path, tmp_path: Path) -> None:
    """Made twice, at other times and of other copies, the disk has the same bytes."""
    disks = []
    for name in ("one", "two"):
        copy = tmp_path / name
        subprocess.run(["cp", "-r", "--preserve=mode,links,timestamps", top, copy], check=True)
        there = Site(name, tmp_path / "build" / name, tmp_path / "none.lock", 0)
        run_stage(stages.of_directory(copy, there, kernel=False), tmp_path / f"work-{name}")
        disks.append(stages.disk(there).read_bytes())
    assert disks[0] == disks[1]


def test_times_are_the_directory_s_own(top: Path, site: Site, tmp_path: Path) -> None:
    """A guest sees when each file, link and folder, and the top, was changed; another time is another key (A4)."""
    wanted = {"": 1_000_000_001, "etc": 1_100_000_001, "..data": 1_200_000_001, "etc/link": 1_300_000_001}
    before = stages.of_directory(top, site, kernel=False).params
    for path, time in wanted.items():
        os.utime(top / path, ns=(0, time * 10**9 + 5), follow_symlinks=False)
    stage = stages.of_directory(top, site, kernel=False)
    assert stage.params != before
    run_stage(stage, tmp_path / "work")
    found = read_tree(stages.disk(site))
    assert {path: found[path.encode()].mtime for path in wanted} == wanted
    os.utime(top / "etc", (1, 1))
    with pytest.raises(StageError, match="times changed"):
        run_stage(stage, tmp_path / "again")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_owners_count(top: Path, site: Site, tmp_path: Path) -> None:
    """Another owner of one file is another key, and stands in the disk; the top's owner is root inside."""
    before = stages.of_directory(top, site, kernel=False).params
    os.chown(top / "etc", 33, 34)
    stage = stages.of_directory(top, site, kernel=False)
    assert stage.params != before
    run_stage(stage, tmp_path / "work")
    assert (found := read_tree(stages.disk(site))[b"etc"]).uid == 33
    assert found.gid == 34


def test_no_kernel_says_what_to_give(top: Path, site: Site, tmp_path: Path) -> None:
    """Without a kernel in the tree the error names where it was looked for, and the options (V14)."""
    for kernel in (top / "boot").iterdir():
        kernel.unlink()
    with pytest.raises(StageError, match=r"no kernel in .*top.*vmlinuz.*\n.*--kernel"):
        run_stage(stages.of_directory(top, site, kernel=True), tmp_path / "work")
    run_stage(stages.of_directory(top, site, kernel=False), tmp_path / "again")
    assert not site.kernel.exists()


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("vmlinuz-6.1.0-10-amd64", b"text", "cannot be the kernel: it is no Linux"),
        ("initrd.img-6.1.0-10-amd64", cpio()[:-200], "cannot be the initrd: it is damaged.*cut short"),
    ],
)
def test_what_would_not_start_it_is_refused(
    name: str, data: bytes, what: str, top: Path, site: Site, tmp_path: Path
) -> None:
    """A kernel that is none and an initrd cut short are told before QEMU runs (W7)."""
    (top / "boot" / name).write_bytes(data)
    with pytest.raises(StageError, match=f"/boot/{name} of the tree {what}"):
        run_stage(stages.of_directory(top, site, kernel=True), tmp_path / "work")


def test_no_initrd_is_an_empty_one(top: Path, site: Site, tmp_path: Path) -> None:
    """An older kernel's initrd is not taken for the newer's: none is none."""
    (top / "boot/initrd.img-6.1.0-10-amd64").unlink()
    run_stage(stages.of_directory(top, site, kernel=True), tmp_path / "work")
    assert site.initrd.read_bytes() == b""


@pytest.mark.parametrize(
    "name", ["boot/initrd.img-1", "boot/initramfs-1.img", "boot/initrd-1", "boot/initramfs-1"]
)  # fmt: skip
def test_distributions_names(name: str) -> None:
    """The initrd is found by the names of Debian, Fedora, Arch, openSUSE and Alpine (A8)."""
    assert name in kernels.initrd_names("1", "1")


@pytest.mark.parametrize(
    ("member", "said"), [("../../etc/passwd", "leads out of the tree"), ("boot/x", "damaged or not a tar")]
)
def test_a_hostile_tar_is_refused(site: Site, tmp_path: Path, member: str, said: str) -> None:
    """A member that leads out of the tree, or a tar cut short, is an error naming the file; nothing is written."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo(member)
        info.size = 5000
        tar.addfile(info, io.BytesIO(bytes(5000)))
    file = tmp_path / "bad.tgz"
    file.write_bytes(made.getvalue())
    if "damaged" in said:
        subprocess.run(["sh", "-c", f"gzip -dc {file} | head -c 2000 | gzip -c > {file}.cut"], check=True)
        Path(f"{file}.cut").replace(file)
    with pytest.raises(StageError, match=rf"bad\.tgz.*{said}"):
        run_stage(stages.of_tar(file, site, kernel=False), tmp_path / "work")
    assert not stages.disk(site).exists()


def test_a_packing_we_do_not_unpack(site: Site, tmp_path: Path) -> None:
    """What is packed otherwise is named, with what can be unpacked."""
    (tmp_path / "tree.tar.bz2").write_bytes(b"BZh91AY")
    with pytest.raises(StageError, match=r"packed by bzip2\n.*gzip, zstd, xz"):
        stages.of_tar(tmp_path / "tree.tar.bz2", site, kernel=False)
