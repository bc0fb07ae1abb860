"""An encrypted root: started, unlocked on the console, and looked into by its passphrase. C12, A22."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import tiny_kernel
from tests.support.checkout import CHECKOUT
from tests.support.project import dodo, doit

DEBIAN = """
extends: minimal
source: {debian: {packages+: [cryptsetup-initramfs]}}
disk:
  partitions:
    esp: {type: esp, mount: /boot/efi, size: 256M}
    root: {mount: /, encrypt: {passphrase: {file: secrets/disk}}}
outputs: [raw]
test: {timeout: 15m, keys: [{after: "Please unlock disk root_crypt", send: "a long passphrase\\n"}]}
"""
DATA = """
source: {directory: {path: tree, modes: exec}}
system: none
disk:
  table: gpt
  partitions:
    root: {mount: /, size: 64M}
    data: {mount: /srv, size: 64M, encrypt: {luks: 1, passphrase: {file: word}}}
boot: {loader: direct, kernel: linux, initrd: none}
outputs: [raw]
"""


def test_a_volume_is_looked_into_by_its_passphrase(tmp_path: Path) -> None:
    """The recipe's own opens its image; of a file it must be said, and a wrong one is refused (L21, V13, V11)."""
    for name, text in (("sbin/init", "#!/bin/sh\n"), ("srv/a", "in it\n")):
        (tmp_path / "tree" / name).parent.mkdir(parents=True)
        (tmp_path / "tree" / name).write_text(text)
    (tmp_path / "tree/sbin/init").chmod(0o755)
    (tmp_path / "linux").write_bytes(tiny_kernel.kernel())
    (tmp_path / "word").write_text("a long passphrase\n")
    (tmp_path / "wrong").write_text("another\n")
    (tmp_path / "my.yaml").write_text(DATA)
    (tmp_path / "dodo.py").write_text(dodo("my.yaml"))
    assert "in it" in doit(tmp_path, "cat", "data:/a")
    said = doit(tmp_path, "verify")
    assert "data LUKS1, in it ext4" in said
    assert "wrong" not in said
    image = tmp_path / "build/my/my.raw"
    assert b"in it\n" not in image.read_bytes()
    assert "is locked (LUKS1)" in doit(tmp_path, "cat", "--image", str(image), "data:/a", status=3)
    assert "in it" in doit(tmp_path, "cat", "--image", str(image), "--passphrase", "file:word", "data:/a")
    refused = doit(tmp_path, "cat", "--image", str(image), "--passphrase", "file:wrong", "data:/a", status=1)
    assert "the passphrase given does not open it" in refused
    first = image.read_bytes()
    shutil.rmtree(tmp_path / "build")
    shutil.rmtree(tmp_path / "cache")
    doit(tmp_path, "image")
    assert image.read_bytes() == first
    (tmp_path / "word").write_text("a new passphrase\n")
    said = doit(tmp_path, "image")
    assert "fresh    populate/data" in said
    assert "built    encrypt/data" in said


def test_a_root_that_is_locked_is_taken_for_no_other_partition(tmp_path: Path) -> None:
    """What is read back without the passphrase is what is in clear; paths of the system want it (V13)."""
    image, clear = tmp_path / "disk.img", tmp_path / "esp.img"
    layout = "label: gpt\nsize=40MiB, type=uefi, name=esp\nsize=20MiB, type=linux, name=root\n"
    image.write_bytes(b"")
    os.truncate(image, 64 << 20)
    subprocess.run(["sfdisk", "-q", image], input=layout.encode(), check=True, capture_output=True)
    clear.write_bytes(b"")
    os.truncate(clear, 40 << 20)
    subprocess.run(["mkfs.vfat", "-F", "32", clear], check=True, capture_output=True)
    with image.open("r+b") as file:
        file.seek(1 << 20)
        file.write(clear.read_bytes())
        file.write(b"LUKS\xba\xbe\x00\x02".ljust(4096, b"\0"))
    (tmp_path / "dodo.py").write_text(dodo("my.yaml"))
    (tmp_path / "my.yaml").write_text(DATA)
    assert "the system's root is locked" in doit(tmp_path, "ls", "--image", str(image), "/", status=3)


@pytest.mark.boot
@pytest.mark.soak(whole=1)
def test_debian_is_unlocked_on_the_console(tmp_path: Path) -> None:
    """By what was typed there, to a login."""
    shutil.copytree(CHECKOUT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "recipes/secrets").mkdir()
    (tmp_path / "recipes/secrets/disk").write_text("a long passphrase\n")
    (tmp_path / "recipes/locked.yaml").write_text(DEBIAN)
    (tmp_path / "dodo.py").write_text(dodo("recipes/locked.yaml"))
    assert "login reached" in doit(tmp_path, "qemu-test", "--accel", "tcg")
