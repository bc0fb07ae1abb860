"""run-dir and run-tgz as commands: what is made of a tree is made once, and never stale."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.kernel_files import bzimage, cpio
from tests.support.toy_project import ToyProject

KERNEL = bzimage()


@pytest.fixture(name="project")
def fixture_project(tmp_path: Path) -> ToyProject:
    """A project, and beside it a tree with a kernel that QEMU would take."""
    for name in ("project", "one/boot", "two"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "one/boot/vmlinuz-1").write_bytes(KERNEL)
    (tmp_path / "one/boot/initrd.img-1").write_bytes(cpio())
    return ToyProject.make(tmp_path / "project")


def said(project: ToyProject, *words: str) -> str:
    """Run a command that prints its QEMU command; return all it says."""
    done = project.doit(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def disk(text: str) -> str:
    """Return the disk of a printed command."""
    return text.partition(",file=")[2].split()[0]


def test_a_directory_is_made_into_a_disk_once(project: ToyProject) -> None:
    """The second call makes nothing; an edit does; the directory stays as it is (A4)."""
    top = project.top.parent / "one"
    before = sorted((path, path.lstat().st_mtime_ns) for path in top.rglob("*"))
    first = said(project, "run-dir", "--print", "--accel", "tcg", "../one")
    assert "built    dir-disk" in first
    assert "-append 'root=/dev/vda rw fstab=no console=ttyS0'" in first
    assert "fresh    dir-disk" in said(project, "run-dir", "--print", "--accel", "tcg", "../one")
    assert sorted((path, path.lstat().st_mtime_ns) for path in top.rglob("*")) == before
    (top / "boot/vmlinuz-1").chmod(0o600)
    assert "built    dir-disk" in said(project, "run-dir", "--print", "--accel", "tcg", "../one")
    os.utime(top / "boot", (1, 1))  # which the guest is to see
    again = said(project, "run-dir", "--print", "--accel", "tcg", "../one")
    assert "built    dir-disk" in again
    assert "times changed\n" in again


def test_tars_of_one_name_do_not_share(project: ToyProject) -> None:
    """Two tars called alike in two folders are two; one of them edited is made anew (A3)."""
    here = project.top.parent
    for number, folder in enumerate(("one", "two")):
        (here / "one/boot/which").write_text(folder)
        target = here / f"{folder}{number}"
        target.mkdir()
        subprocess.run(["tar", "-czf", target / "tree.tgz", "-C", here / "one", "."], check=True)
    texts = [said(project, "run-tgz", "--print", "--accel", "tcg", f"../{name}/tree.tgz") for name in ("one0", "two1")]
    assert disk(texts[0]) != disk(texts[1])
    assert all("built    tgz-disk" in text for text in texts)
    assert "fresh    tgz-disk" in said(project, "run-tgz", "--print", "--accel", "tcg", "../one0/tree.tgz")
    shutil.copy(here / "two1/tree.tgz", here / "one0/tree.tgz")
    assert "built    tgz-disk" in said(project, "run-tgz", "--print", "--accel", "tcg", "../one0/tree.tgz")


def test_options_of_the_tree_s_kernel(project: ToyProject) -> None:
    """A kernel given stands in for the tree's, with the initrd given and no other; words are added (A16)."""
    here = project.top.parent
    (here / "mine").write_bytes(KERNEL)
    text = said(
        project, "run-dir", "--print", "--accel", "tcg", "--kernel", "../mine", "--cmdline=quiet a=b",
        "--drive", "sata", "../one",
    )  # fmt: skip
    assert "-kernel " + str(here / "project") in text
    assert "-initrd" not in text
    assert "no initrd" in text
    assert "-append 'root=/dev/sda rw fstab=no console=ttyS0 quiet a=b'" in text


@pytest.mark.parametrize("command", ["run-uefi", "run-bios", "run-direct", "inspect"])
@pytest.mark.parametrize(
    ("name", "message"), [("gone", "gone does not exist"), ("pipe", "pipe is not a file"), ("empty", "empty is empty"),
                          ("two", "two is not a file"), ("one/boot/vmlinuz-1/x", "x does not exist")],
)  # fmt: skip
def test_what_is_no_file_to_run(project: ToyProject, command: str, name: str, message: str) -> None:
    """What is not there, holds nothing, or would be waited for without end is a mistake of the command line (A16)."""
    os.mkfifo(project.top.parent / "pipe")
    (project.top.parent / "empty").touch()
    done = project.doit(command, f"../{name}")
    assert done.returncode == 3, done.stdout
    assert message in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run-dir", "../gone"), "gone is not a directory"),
        (("run-dir", "../one/boot/vmlinuz-1"), "is not a directory\n  `doit run-direct FILE` starts it."),
        (("run-tgz", "../one"), "for a directory there is run-dir"),
        (("run-tgz", "../one/boot/vmlinuz-1"), "is no tar: it is a Linux kernel\n  `doit run-direct FILE`"),
        (("run-dir", "../two"), "no kernel in"),
        (("run-dir", ".."), "holds the build directory"),
        (("run-dir",), "no file is named"),
        (("run-tgz", "a", "b"), "one file, not 2"),
        (("run-uefi", "one", "two"), "one file, not 2"),
        (("run-direct", "../gone"), "gone does not exist"),
        (("run-direct", "../one/boot/initrd.img-1"), "is no kernel that QEMU can start"),
        (("run-direct", "--initrd", "../gone", "../one/boot/vmlinuz-1"), "the initrd"),
        (("run-bios", "../gone.img"), "does not exist"),
        (("ssh",), "no such machine is running"),
    ],
)
def test_mistakes_are_told(project: ToyProject, words: tuple[str, ...], message: str) -> None:
    """Each mistake is one message and no traceback, and nothing is left but the build directory."""
    done = project.doit(*words)
    assert done.returncode in (1, 3), done.stdout
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_kernel_without_a_recipe(project: ToyProject) -> None:
    """run-direct takes a kernel, an initrd, a command line and a disk, none of a recipe's (A16)."""
    here = project.top.parent
    (here / "disk.img").write_bytes(bytes(1 << 20))
    text = said(
        project, "run-direct", "--print", "--accel", "tcg", "--initrd", "../one/boot/initrd.img-1",
        "--disk", "../disk.img", "--cmdline=root=/dev/vda", "../one/boot/vmlinuz-1",
    )  # fmt: skip
    assert "-append root=/dev/vda" in text
    assert "initrd.img-1" in text
    assert "format=raw,snapshot=on,cache=writeback,file=" in text


def test_a_disk_the_firmware_cannot_start(project: ToyProject) -> None:
    """A BIOS disk under UEFI is refused at once, in words; under a BIOS it runs (A6, A16)."""
    image = project.top.parent / "bios, disk.img"
    image.write_bytes(b"\xf4".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    refused = project.doit("run-uefi", "--print", "../bios, disk.img")
    assert refused.returncode == 1
    assert "`doit run-bios`" in refused.stderr
    assert "bios,, disk.img" in said(project, "run-bios", "--print", "--accel", "tcg", "../bios, disk.img")


def test_an_output_instead_of_the_raw_disk(project: ToyProject) -> None:
    """With a recipe `--format` means its output of that format, and only as the recipe makes it now (L20)."""
    stale = project.doit("run-uefi", "--print", "--format", "qcow2")
    assert stale.returncode == 1
    assert "disk.qcow2 is not what the recipe makes now\n  `doit image`" in stale.stderr
    none = project.doit("run-uefi", "--print", "--format", "vmdk")
    assert none.returncode == 3
    assert "has no output vmdk" in none.stderr
