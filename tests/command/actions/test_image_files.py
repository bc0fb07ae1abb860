"""ls, cat, extract, diff and verify, as they are typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel_files import bzimage
from tests.support.project import dodo, environment
from tests.support.whole_disk import PASSWD, WholeDisk


@pytest.fixture(name="disk", scope="module")
def fixture_disk(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    """A disk, in the folder of a project with another one."""
    made = WholeDisk.make(tmp_path_factory.mktemp("disk"))
    top = made.raw.parent
    (top / "dodo.py").write_text(dodo("box.yaml"))
    (top / "tree/sbin").mkdir(parents=True)
    (top / "tree/sbin/init").touch(0o755)
    (top / "tree/sbin/init").write_text("#!/bin/sh\n")
    (top / "vmlinuz").write_bytes(bzimage())
    (top / "box.yaml").write_text(
        "source: {directory: tree}\nsystem: none\nboot: {loader: syslinux, kernel: vmlinuz, initrd: none}\n"
        "outputs: [raw, qcow2]\n"
    )
    return made


def doit(disk: WholeDisk, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    top = disk.raw.parent
    argv = [sys.executable, "-m", "doit", *map(str, words)]
    done = subprocess.run(argv, cwd=top, env=environment(top), capture_output=True, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_what_a_file_holds_comes_byte_for_byte(disk: WholeDisk) -> None:
    """And nothing else: a program may read it (L21)."""
    assert doit(disk, "cat", "--image", disk.raw.name, "/etc/passwd").stdout == PASSWD
    assert doit(disk, "cat", "/usr/bin/large", "--image", disk.raw.name).stdout == bytes(3 << 20) + b"end"


def test_directories_are_listed(disk: WholeDisk) -> None:
    """The top, without a path; of qcow2 as of raw."""
    packed = disk.raw.with_name("disk.qcow2")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", disk.raw, packed], check=True)
    names = doit(disk, "ls", "--image", packed.name).stdout.decode().split()
    assert {"boot", "etc", "sbin", "usr"} <= set(names)
    assert b"rws" in doit(disk, "ls", "-l", "--image", disk.raw.name, "/usr/bin").stdout
    assert b"/boot/efi/loader/loader.conf\n" in doit(disk, "ls", "-R", "--image", disk.raw.name, "/boot").stdout


def test_files_are_taken_out(disk: WholeDisk, tmp_path: Path) -> None:
    """Into a directory that is made."""
    done = doit(disk, "extract", "--image", disk.raw.name, "/usr", tmp_path / "new/usr")
    assert (tmp_path / "new/usr/share/hello/text").read_bytes() == b"hello, world\n"
    assert b"left out: /usr/null: a device node" in done.stderr


def test_the_recipe_s_disk_is_the_one_that_is_meant(disk: WholeDisk) -> None:
    """It is made fresh first, of which nothing is said on standard output."""
    assert doit(disk, "ls").stdout.split() == [b"boot", b"dev", b"lost+found", b"proc", b"run", b"sbin", b"sys", b"tmp"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cat", "--image", "DISK"], "cat takes one path in the image"),
        (["cat", "--image", "DISK", "/etc"], "/etc is no regular file"),
        (["cat", "--image", "DISK", "/etc/passwrd"], "Did you mean passwd?"),
        (["cat", "--image", "missing.img", "/etc"], "missing.img does not exist"),
        (["ls", "--image", "dodo.py"], "has no partition, and no filesystem that is known"),
        (["ls", "--image", "DISK", "a", "b"], "ls takes one path"),
        (["extract", "--image", "DISK", "/etc"], "a path in the image and a directory"),
        (["extract", "--image", "DISK", "/etc", "dodo.py"], "dodo.py is not a directory"),
        (["diff", "DISK"], "diff takes two images"),
        (["diff", "DISK", "./missing"], "missing does not exist"),
        (["diff", "DISK", "nobody"], "nobody"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(disk: WholeDisk, words: list[str], said: str) -> None:
    """With exit status 3, and no traceback."""
    done = doit(disk, *(disk.raw.name if word == "DISK" else word for word in words), status=3)
    assert said in (done.stdout + done.stderr).decode()
    assert b"Traceback" not in done.stderr


def test_diff_makes_nothing_for_a_recipe(disk: WholeDisk) -> None:
    """One that is not built is told, and no package is resolved for it."""
    top = disk.raw.parent
    (top / "never.yaml").write_text("source: {debian: {suite: trixie, packages: [linux-image-cloud-amd64]}}\n")
    done = doit(disk, "diff", disk.raw.name, "never", status=1)
    assert b"never is not built yet" in done.stdout + done.stderr
    assert not (top / "never.lock").exists()
    (top / "never.yaml").unlink()


def test_diff_s_status_tells_whether_images_differ(disk: WholeDisk) -> None:
    """0 where they are the same, 1 where they are not; as JSON too."""
    other = disk.raw.with_name("other.raw")
    shutil.copy(disk.raw, other)
    assert not doit(disk, "diff", disk.raw.name, "other.raw").stdout
    WholeDisk(other, disk.recipe).put("/etc/issue", b"abc\n")
    assert b"/etc/issue: added, file of 4 bytes\n" in doit(disk, "diff", disk.raw.name, "other.raw", status=1).stdout
    found = json.loads(doit(disk, "diff", "--json", disk.raw.name, "other.raw", status=1).stdout.split(b"\nfailed")[0])
    assert found == [{"subject": "file", "name": "/etc/issue", "how": "added, file of 4 bytes"}]


def test_verify_s_status_tells_whether_all_is_well(disk: WholeDisk, tmp_path: Path) -> None:
    """Of a file, and of the recipe's own disk with all its outputs (V13, V20)."""
    assert b"6 checks passed" in doit(disk, "verify", disk.raw.name).stdout
    spoilt = disk.copy(tmp_path)
    spoilt.write(-512, bytes(512))
    assert b"backup GPT: no header" in doit(disk, "verify", spoilt.raw, status=1).stdout
    doit(disk, "image")
    said = doit(disk, "verify").stdout.decode()
    assert "ok    output box.qcow2  qcow2, the same disk" in said
    assert said.endswith("build/box/box.raw: 6 checks passed\n")
