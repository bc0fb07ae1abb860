"""build-syslinux-bios and build-efistub: a tar or a directory becomes a disk, by the stages that recipes have."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import tiny_kernel
from tests.support.ext_image import read_tree
from tests.support.toy_project import ToyProject

BIOS = "build-syslinux-bios"


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path) -> ToyProject:
    """A project, and beside it a tree of which a BIOS could start the kernel."""
    for name in ("project", "tree/boot", "tree/etc", "bare/etc", "none/etc", "out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tree/boot/vmlinuz-1").write_bytes(tiny_kernel.kernel())
    (tmp_path / "tree/boot/initrd.img-1").write_bytes(tiny_kernel.INITRD)
    for name in ("tree", "bare"):
        (tmp_path / name / "sbin").mkdir()
        (tmp_path / name / "sbin/init").write_text("#!/bin/sh\n")
        (tmp_path / name / "sbin/init").chmod(0o755)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/manifest.json").write_text('[{"Config": "x", "Layers": ["a/layer.tar"]}]')
    (tmp_path / "tree/etc/fstab").write_text("/dev/sdz9 / ext4 defaults 0 1\n")
    (tmp_path / "tree/etc/hostname").write_text("elsewhere\n")
    (tmp_path / "tree/odd $name").write_text("kept")
    (tmp_path / "tree/odd $name").chmod(0o4711)
    (tmp_path / "a.bz2").write_bytes(b"BZh91AY")
    (tmp_path / "link").symlink_to("out/disk.raw")
    return ToyProject.make(tmp_path / "project")


def packed(project: ToyProject, folder: str, *words: str) -> str:
    """Return a tar of the tree, called tree.tgz whatever it is packed by, by a name that the commands take."""
    here = project.top.parent
    (here / folder).mkdir()
    owners = ("--owner=0", "--group=0", "--sort=name", "--mtime=@1000000000")
    subprocess.run(["tar", *owners, *words, "-cf", here / folder / "tree.tgz", "-C", here / "tree", "."], check=True)
    return f"../{folder}/tree.tgz"


def said(project: ToyProject, *words: str) -> str:
    """Run a command, which must succeed; return all it says."""
    done = project.doit(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.boot
def test_a_bios_boots_it(project: ToyProject) -> None:
    """SeaBIOS starts the tree's kernel with its initrd, the root partition and the words given, as they are (A5)."""
    here = project.top.parent
    said(project, BIOS, "--size", "1G", "--cmdline=a=b $c", "--output", "../out/disk.raw", packed(project, "one", "-z"))
    disk = here / "out/disk.raw"
    assert disk.stat().st_size == 1 << 30
    heard = tiny_kernel.serial_of(disk, here / "serial.log")
    signature = disk.read_bytes()[440:444][::-1].hex()
    assert f"root=PARTUUID={signature}-02 ro console=tty0 console=ttyS0 a=b $c " in heard
    assert f"; initrd: {tiny_kernel.shown(tiny_kernel.INITRD)}" in heard


def test_the_tree_stays_as_it_is_but_for_fstab(project: ToyProject) -> None:
    """Names, modes and contents are the tree's; /etc/fstab names the disk's own filesystems, FAT not needed (A5)."""
    said(project, BIOS, packed(project, "one", "--zstd"))
    (build,) = (project.top / "build/disks").glob("tree.tgz-*/syslinux")
    found = read_tree(build / "populate/root.img")
    assert found[b"odd $name"].content == b"kept"
    assert found[b"odd $name"].mode & 0o7777 == 0o4711
    assert found[b"etc/hostname"].content == b"elsewhere\n"
    rows = [line.split() for line in found[b"etc/fstab"].content.decode().splitlines()[1:]]
    assert [row[1:4] for row in rows] == [["/", "ext4", "defaults"], ["/boot/syslinux", "vfat", "nofail"]]
    assert b"boot/syslinux" in found


def test_it_is_made_once(project: ToyProject) -> None:
    """A second call makes nothing; tars of one name in two folders do not share; an edit is seen (A16)."""
    one, two = packed(project, "one", "-z"), packed(project, "two", "-J")
    first = said(project, BIOS, "--output", "../out/one.raw", one)
    assert "built    assemble" in first
    again = said(project, BIOS, "--output", "../out/one.raw", one)
    assert "built" not in again
    assert "fresh    assemble" in again
    said(project, BIOS, "--output", "../out/two.raw", two)
    out = project.top.parent / "out"
    assert (out / "one.raw").read_bytes() == (out / "two.raw").read_bytes()
    assert len(list((project.top / "build/disks").glob("tree.tgz-*"))) == 2
    (project.top.parent / "tree/etc/hostname").write_text("changed\n")
    edited = packed(project, "three")
    (project.top / edited).replace(project.top / one)
    assert "built    populate/base" in said(project, BIOS, "--output", "../out/one.raw", one)
    assert (out / "one.raw").read_bytes() != (out / "two.raw").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["one.raw", "two.raw"]


def test_a_directory_does_as_well(project: ToyProject) -> None:
    """Its owner is root in it; an output that somebody wrote to is put there anew (A16)."""
    said(project, BIOS, "--output", "../out/disk.raw", "../tree")
    disk = project.top.parent / "out/disk.raw"
    whole = disk.read_bytes()
    disk.write_bytes(b"spoilt")
    said(project, BIOS, "--output", "../out/disk.raw", "../tree")
    assert disk.read_bytes() == whole
    (build,) = (project.top / "build/disks").glob("tree-*/syslinux")
    found = read_tree(build / "populate/root.img")
    assert (found[b"etc/hostname"].uid, found[b"etc/hostname"].gid) == (0, 0)


def test_a_directory_s_times_are_in_it(project: ToyProject) -> None:
    """Files and folders have the times that they have here, though /etc/fstab is another; `touch` is seen (A16)."""
    tree = project.top.parent / "tree"
    wanted = {"": 1_000_000_000, "etc": 1_100_000_000, "etc/hostname": 1_200_000_000, "boot": 1_300_000_000}
    found = []
    for more in (0, 5):
        for path, time in wanted.items():
            os.utime(tree / path, (0, time + more))
        said(project, BIOS, "../tree")
        (build,) = (project.top / "build/disks").glob("tree-*/syslinux")
        disk = read_tree(build / "populate/root.img")
        found.append({path: disk[path.encode()].mtime - more for path in wanted})
    assert found == [wanted, wanted]


def test_a_kernel_of_ones_own_without_an_initrd(project: ToyProject) -> None:
    """`--kernel` and `--initrd` stand in for what the tree has, or lacks (A16)."""
    (project.top.parent / "mine").write_bytes(tiny_kernel.kernel())
    said(project, BIOS, "--kernel", "../mine", "--initrd", "none", "../bare")
    (build,) = (project.top / "build/disks").glob("bare-*/syslinux")
    facts = json.loads((build / "kernel/kernel.json").read_bytes())
    assert facts["pretty_name"] == "Linux"
    assert not (build / "initramfs/initrd.img").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no file is named"),
        (("a", "b"), "one file, not 2"),
        (("../gone",), "gone does not exist"),
        (("..",), "holds the build directory"),
        (("../bare",), "/bare\n  Give one: --kernel FILE, and its --initrd FILE."),
        (("--kernel", "../tree/boot/vmlinuz-1", "--initrd", "none", "../saved"), "saved is what docker save wrote"),
        (("--kernel", "../tree/boot/vmlinuz-1", "--initrd", "none", "../none"), "nothing in the tree that Linux would"),
        (("../a.bz2",), "is packed by bzip2"),
        (("../tree/etc/hostname",), "hostname is damaged or not a tar"),
        (("--size", "64", "../tree"), "disk.size: 64 has no unit"),
        (("--size", "100M", "../tree"), "disk.size"),
        (("--kernel", "../gone", "../tree"), "boot.kernel"),
        (("--initrd", "../gone", "../tree"), "boot.initrd"),
        (("--initrd", "../tree/etc/hostname", "../tree"), "cannot be the initrd"),
        (("--output", "../out", "../tree"), "out is in the way: not a regular file"),
        (("--output", "../link", "../tree"), "link is in the way: not a regular file"),
        (("--output", "/dev/null", "../tree"), "/dev/null is in the way: not a regular file"),
        (("--output", "../gone/disk.raw", "../tree"), "there is no such directory"),
        (("--output", "../tree/disk.raw", "../tree"), "lies in, what it is made from"),
    ],
)
@pytest.mark.parametrize("command", [BIOS, "build-efistub"])
def test_mistakes_are_told(project: ToyProject, command: str, words: tuple[str, ...], message: str) -> None:
    """Each mistake is one message and no traceback; nothing is written but in the build directory (C9, A16)."""
    before = sorted(project.top.parent.glob("*/*"))
    done = project.doit(command, *words)
    assert done.returncode in (1, 3), done.stdout
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [path for path in sorted(project.top.parent.glob("*/*")) if "project" not in path.parts] == [
        path for path in before if "project" not in path.parts
    ]


def test_no_initrd_is_told_with_its_names(project: ToyProject) -> None:
    """Where the kernel's initrd is missing, the error says where it was looked for and what to do (V14)."""
    (project.top.parent / "tree/boot/initrd.img-1").unlink()
    done = project.doit(BIOS, "../tree")
    assert done.returncode == 1
    assert "no initrd for its kernel 1 (/boot/initrd.img-1, /boot/initramfs-1.img" in done.stdout
    assert "--initrd" in done.stdout
