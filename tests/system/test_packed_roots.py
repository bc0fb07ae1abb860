"""A root that is packed and only read: built, looked into, verified, and started with a layer in memory over it. V1."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import tiny_kernel
from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit

TINY = """
source: {directory: {path: tree, modes: exec}}
system: {network: none, users: {root: {password: locked}}}
disk:
  partitions:
    esp: {type: esp, mount: /boot/efi, size: 40M}
    root: {fs: squashfs, mount: /, overlay: none}
    data: {fs: erofs, mount: /srv}
    last: {fs: none, size: 1M}
boot: {loader: systemd-boot, kernel: linux, initrd: none, packages: false}
outputs: [raw]
"""
DEBIAN = """
extends: minimal
disk:
  partitions:
    esp: {type: esp, mount: /boot/efi, size: 256M}
    root: {fs: squashfs, mount: /}
outputs: [raw]
test:
  timeout: 10m
  login: {user: root, password: {file: secrets/root.password}}
  run: ["touch /etc/written && ! touch /run/bootsmith/root/written", "grep -q 'overlay / overlay' /proc/mounts"]
system: {users: {root: {password: {file: secrets/root.password}}}}
"""


def project(top: Path) -> Path:
    """Write a project whose tree has what a system has."""
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "etc/group": "root:x:0:\n", "sbin/init": "#!/bin/sh\n",
        "etc/shadow": "root:*:1:0:99999:7:::\n", "srv/a/b": "b",
    }  # fmt: skip
    for name, text in files.items():
        (top / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (top / "tree" / name).write_text(text)
    (top / "tree/sbin/init").chmod(0o755)
    (top / "linux").write_bytes(tiny_kernel.kernel())
    (top / "my.yaml").write_text(TINY)
    (top / "dodo.py").write_text(dodo("my.yaml"))
    return top


def test_packed_partitions_are_what_the_recipe_says(tmp_path: Path) -> None:
    """Each as large as what it holds, found by its partition in fstab, read back by cat and verify (V1, V13, L21)."""
    top = project(tmp_path)
    doit(top, "image")
    fstab = doit(top, "cat", "/etc/fstab")
    rows = [line.replace("=", " ").split() for line in fstab.splitlines() if "UUID=" in line]
    found = [" ".join((row[0], *row[2:])) for row in rows if "/boot/efi" not in row]
    assert found == ["PARTUUID / squashfs ro 0 0", "UUID /srv erofs ro 0 0"]
    assert "\nbfresh" in "\n" + doit(top, "cat", "/srv/a/b")
    said = doit(top, "verify")
    assert "root squashfs" in said
    assert "data erofs" in said
    assert "wrong" not in said
    size = (top / "build/my/my.raw").stat().st_size
    (top / "tree/srv/a/b").write_text("c")
    said = doit(top, "image")
    assert "fresh    populate/esp" in said
    assert "built    populate/data" in said
    assert (top / "build/my/my.raw").stat().st_size == size, "a small edit moves no partition"
    assert "\ncfresh" in "\n" + doit(top, "cat", "/srv/a/b")


@pytest.mark.boot
@pytest.mark.soak(whole=1)
@pytest.mark.parametrize("fs", ["squashfs", "erofs"])
def test_debian_comes_up_from_a_packed_root(fs: str, tmp_path: Path) -> None:
    """What it writes stays in memory, and the packed tree beneath as it was."""
    shutil.copytree(CHECKOUT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "recipes/secrets").mkdir()
    (tmp_path / "recipes/secrets/root.password").write_text("a word\n")
    (tmp_path / "recipes/packed.yaml").write_text(DEBIAN.replace("squashfs", fs))
    (tmp_path / "dodo.py").write_text(dodo("recipes/packed.yaml"))
    assert "login reached" in doit(tmp_path, "qemu-test", "--accel", "tcg")
