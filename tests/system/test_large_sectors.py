"""A disk with sectors of 4096 bytes, started by UEFI; what has others is refused. C1, V1."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from bootsmith.tasks.disk import gpt

from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit

DEBIAN = """
extends: minimal
disk:
  sector: 4096
  partitions:
    esp: {type: esp, mount: /boot/efi, size: 300M}
    root: {mount: /}
outputs: [raw]
test:
  timeout: 10m
  login: {user: root, password: {file: secrets/root.password}}
  run: ["test $(cat /sys/block/vda/queue/logical_block_size) = 4096"]
system: {users: {root: {password: {file: secrets/root.password}}}}
"""


def test_a_file_s_own_sectors_are_heeded(tmp_path: Path) -> None:
    """Whoever made it: the machine gets such a disk, inspect tells of it, and formats that have others are refused."""
    (tmp_path / "dodo.py").write_text(dodo("my.yaml"))
    (tmp_path / "my.yaml").write_text(
        "source: none\nboot: {loader: direct, kernel: k, initrd: tree}\noutputs: [kernel]\n"
    )
    disk, size = tmp_path / "disk.raw", 64 << 20
    disk.write_bytes(b"")
    os.truncate(disk, size)
    slot = gpt.Slot(1 << 20, 62 << 20, "0fc63daf-8483-4772-8e79-3d69d8477de4", "7f4c9d35-0a5e-4c3b-9d1f-5b6f5d0a7e41")
    start, end = gpt.encode(size, "5d0a7e41-0a5e-4c3b-9d1f-5b6f7f4c9d35", [slot], 4096)
    with disk.open("r+b") as file:
        file.write(start)
        file.seek(-len(end), 2)
        file.write(end)
    assert "sectors of 4096 bytes" in doit(tmp_path, "inspect", "disk.raw")
    said = doit(tmp_path, "convert-file", "-i", "disk.raw", "-o", "disk.vhd", status=3)
    assert "its table counts sectors of 4096 bytes, and a machine gives a vhd 512" in said
    assert not (tmp_path / "disk.vhd").exists()
    doit(tmp_path, "convert-file", "-i", "disk.raw", "-o", "disk.qcow2")
    assert "sectors of 4096 bytes" in doit(tmp_path, "inspect", "disk.qcow2")


@pytest.mark.boot
@pytest.mark.soak(whole=1)
def test_debian_comes_up_from_large_sectors(tmp_path: Path) -> None:
    """Firmware, systemd-boot and Linux find table, FAT and root by them."""
    shutil.copytree(CHECKOUT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "recipes/secrets").mkdir()
    (tmp_path / "recipes/secrets/root.password").write_text("a word\n")
    (tmp_path / "recipes/large.yaml").write_text(DEBIAN)
    (tmp_path / "dodo.py").write_text(dodo("recipes/large.yaml"))
    assert "login reached" in doit(tmp_path, "qemu-test", "--accel", "tcg")
