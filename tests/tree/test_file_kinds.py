"""What a file is that was named for something else: told by its content, with what boots it."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.disk import image_format
from bootsmith.tasks.errors import BootsmithError, StageError
from bootsmith.tasks.machine import kernel_file
from bootsmith.tasks.tree import file_kinds

from tests.support.kernel_files import bzimage, elf


@pytest.fixture(name="files")
def fixture_files(tmp_path: Path) -> Path:
    """Files of every kind, made by the programs that make them where there are such."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("text")
    with tarfile.open(tmp_path / "tar", "w") as tar:
        tar.add(tree)
    (tmp_path / "tgz").write_bytes(gzip.compress((tmp_path / "tar").read_bytes()))
    with (tmp_path / "cpio").open("wb") as out:
        subprocess.run(
            ["cpio", "-o", "-H", "newc"], cwd=tree, input=b"file\n", stdout=out, stderr=subprocess.DEVNULL, check=True
        )
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "qcow2", "1M"], check=True)
    (tmp_path / "raw").write_bytes(bytes(510) + b"\x55\xaa" + bytes(512))
    (tmp_path / "kernel").write_bytes(bzimage())
    (tmp_path / "elf").write_bytes(elf())
    (tmp_path / "lz4").write_bytes(b"\x04\x22\x4d\x18" + bytes(100))
    (tmp_path / "text").write_text("text\n" * 1000)
    return tmp_path


def test_each_is_told_with_what_boots_it(files: Path) -> None:
    """Of what nothing is known nothing is told."""
    found = {path.name: kind for path in files.iterdir() if (kind := file_kinds.of(path))}
    assert {name: kind.is_a for name, kind in found.items()} == {
        "tar": "tar", "tgz": "packed", "cpio": "", "qcow2": "disk", "raw": "disk", "kernel": "kernel", "elf": "kernel",
        "lz4": "",
    }  # fmt: skip
    for name, command in (("tar", "run-tgz"), ("cpio", "--initrd"), ("qcow2", "run-uefi"), ("kernel", "run-direct")):
        assert command in found[name].to_do


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tgz", "is no disk image: it is compressed with gzip\n  Unpack it first: gunzip FILE. A tar of a tree"),
        ("tar", "is no disk image: it is a tar\n  `doit run-tgz FILE` boots the tree in it."),
        ("cpio", "is no disk image: it is a cpio archive\n  As an initrd it is started with its kernel"),
        ("kernel", "is no disk image: it is a Linux kernel\n  `doit run-direct FILE` starts it."),
    ],
)
def test_what_is_no_disk_is_refused_by_what_it_is(files: Path, name: str, said: str) -> None:
    """It would be started as a disk with nothing on it, or not at all."""
    with pytest.raises(BootsmithError) as refused:
        image_format.identify(files / name)
    assert said in str(refused.value)
    assert image_format.identify(files / name, "raw") == "raw"  # for who knows better


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qcow2", "is no tar: it is a disk image, qcow2\n  `doit run-uefi FILE` or `doit run-bios FILE` boots it."),
        ("raw", "is no tar: it is a disk\n  `doit run-uefi FILE`"),
        ("cpio", "is no tar: it is a cpio archive"),
        ("lz4", "is no tar: it is compressed with lz4\n  Unpack it first: unlz4 FILE."),
    ],
)
def test_what_is_no_tar_is_refused_by_what_it_is(files: Path, name: str, said: str) -> None:
    """It is no damaged tar, to be made again."""
    with pytest.raises(StageError) as refused:
        file_kinds.check_tar(files / name)
    assert said in str(refused.value)
    for each in ("tar", "tgz", "text", "gone"):  # the last two are for who reads all of it
        file_kinds.check_tar(files / each)


def test_what_is_no_kernel_is_refused_by_what_it_is(files: Path) -> None:
    """A disk is booted another way than a kernel."""
    with pytest.raises(BootsmithError, match=r"it is a disk\n  `doit run-uefi FILE`"):
        kernel_file.check(files / "raw")
    with pytest.raises(BootsmithError, match="it is no Linux: what is needed is a bzImage"):
        kernel_file.check(files / "text")
