"""A root that its kernel verifies: built, told by its root hash, and booted; a flipped bit is refused. C12, V1."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bootsmith.tasks.disk import inspect

from tests.support.checkout import CHECKOUT
from tests.support.kernel_files import cpio
from tests.support.project import dodo, doit
from tests.system.test_packed_roots import TINY, project

VERIFIED = "root: {fs: squashfs, mount: /, overlay: none, verity: true}"
DEBIAN = """
extends: minimal
source: {debian: {packages+: [cryptsetup-bin]}}
disk:
  partitions:
    esp: {type: esp, mount: /boot/efi, size: 256M}
    root: {fs: squashfs, mount: /, verity: true}
boot: {loader: efistub, cmdline: panic=1}
outputs: [raw]
test:
  timeout: 10m
  login: {user: root, password: {file: secrets/root.password}}
  run: ["grep -q '/dev/mapper/root /run/bootsmith/root squashfs' /proc/mounts"]
system: {users: {root: {password: {file: secrets/root.password}}}}
"""


def test_an_edit_gives_the_root_another_hash_and_moves_nothing(tmp_path: Path) -> None:
    """Table, entry and tree go by the hash of what the root holds; the disk is as large as before (L21)."""
    top = project(tmp_path)
    (top / "initrd").write_bytes(cpio())
    text = TINY.replace("root: {fs: squashfs, mount: /, overlay: none}", VERIFIED)
    (top / "my.yaml").write_text(text.replace("initrd: none", "initrd: initrd"))
    doit(top, "image")
    raw, hash_file = top / "build/my/my.raw", top / "build/my/populate/root-verity.roothash"
    before, size = hash_file.read_text().strip(), raw.stat().st_size
    assert "\n/dev/mapper/root " in doit(top, "cat", "/etc/fstab")
    assert f"root=/dev/mapper/root roothash={before} ro" in doit(top, "cat", "esp:/loader/entries/default.conf")
    (top / "tree/etc/motd").write_text("changed\n")
    said = doit(top, "image")
    assert "built    readback/root-verity" in said
    after = hash_file.read_text().strip()
    assert after != before
    assert raw.stat().st_size == size
    guids = "".join(part.guid.replace("-", "") for part in inspect.inspect(raw).parts if part.name.startswith("root"))
    assert guids == after
    assert f"roothash={after}" in doit(top, "run-direct", "--print", "--accel", "tcg")
    assert "wrong" not in doit(top, "verify")


@pytest.mark.boot
@pytest.mark.soak(whole=1)
def test_debian_comes_up_from_a_verified_root_and_not_from_a_damaged_one(tmp_path: Path) -> None:
    """By a kernel image that holds the root hash; one flipped bit, which squashfs would not see, ends the boot."""
    shutil.copytree(CHECKOUT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "recipes/secrets").mkdir()
    (tmp_path / "recipes/secrets/root.password").write_text("a word\n")
    (tmp_path / "recipes/verified.yaml").write_text(DEBIAN)
    (tmp_path / "dodo.py").write_text(dodo("recipes/verified.yaml"))
    assert "login reached" in doit(tmp_path, "qemu-test", "--accel", "tcg")
    raw = tmp_path / "build/verified/verified.raw"
    (root,) = (part for part in inspect.inspect(raw).parts if part.name == "root")
    damaged = tmp_path / "damaged.raw"
    shutil.copyfile(raw, damaged)
    with damaged.open("r+b") as file:
        file.seek(root.start + 100)  # behind the superblock, in the first file
        (old,) = file.read(1)
        file.seek(root.start + 100)
        file.write(bytes([old ^ 1]))
    said = doit(tmp_path, "run-uefi", str(damaged), "--accel", "tcg", "--qemu", "-no-reboot")
    assert "data block 0 is corrupted" in said
    assert "login:" not in said
