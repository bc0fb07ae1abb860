"""A root that is a btrfs: built, looked into, verified, and started. C12."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit
from tests.system.test_packed_roots import TINY, project

DEBIAN = """
extends: minimal
disk:
  partitions:
    esp: {type: esp, mount: /boot/efi, size: 256M}
    root: {fs: btrfs, mount: /}
outputs: [raw]
test:
  timeout: 10m
  login: {user: root, password: {file: secrets/root.password}}
  run: ["touch /etc/written", "grep -q ' / btrfs rw' /proc/mounts", "systemctl is-system-running --wait"]
system: {users: {root: {password: {file: secrets/root.password}}}}
"""


def test_a_btrfs_is_what_the_recipe_says(tmp_path: Path) -> None:
    """It is in fstab by its UUID, read back by cat and verify, subvolumes too; an edit makes it anew (V1, V13, L21)."""
    top = project(tmp_path)
    old = "root: {fs: squashfs, mount: /, overlay: none}"
    assert old in TINY
    (top / "my.yaml").write_text(TINY.replace(old, "root: {fs: btrfs, mount: /, subvolumes: [/etc]}"))
    doit(top, "image")
    rows = [line.split() for line in doit(top, "cat", "/etc/fstab").splitlines() if " btrfs " in line]
    assert [" ".join(row[1:]) for row in rows] == ["/ btrfs defaults 0 0"]
    assert rows[0][0].startswith("UUID=")
    said = doit(top, "verify")
    assert "root btrfs" in said
    assert "wrong" not in said
    (top / "tree/sbin/init").write_text("#!/bin/sh\nexec sh\n")
    said = doit(top, "image")
    assert "built    populate/root" in said
    assert "fresh    populate/esp" in said
    assert "\nexec sh\n" in doit(top, "cat", "/sbin/init")


@pytest.mark.boot
@pytest.mark.soak(whole=1)
def test_debian_comes_up_from_a_btrfs(tmp_path: Path) -> None:
    """It is mounted to be written to, and the system is up without a unit that failed."""
    shutil.copytree(CHECKOUT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "recipes/secrets").mkdir()
    (tmp_path / "recipes/secrets/root.password").write_text("a word\n")
    (tmp_path / "recipes/root.yaml").write_text(DEBIAN)
    (tmp_path / "dodo.py").write_text(dodo("recipes/root.yaml"))
    assert "login reached" in doit(tmp_path, "qemu-test", "--accel", "tcg")
