"""What a hundred edits of a folder end in: the very bytes that a clean machine makes of the last state."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.support.kernel_files import bzimage
from tests.support.project import dodo, doit
from tests.support.tree_edits import TreeEdits

RECIPE = """\
source: {directory: tree}
system: none
layers:
  - overlay: root
  - overlay: {from: esp, to: /boot/efi}
disk:
  partitions:
    esp: {fs: vfat, mount: /boot/efi, size: 48M}
    root: {fs: FS, mount: /}
boot: {loader: systemd-boot, kernel: vmlinuz, initrd: none}
outputs: [raw]
"""
IMAGES = ("populate/root.img", "populate/esp.img", "own.raw")


def read(top: Path, name: str) -> bytes:
    """Return an output."""
    return (top / "build/own" / name).read_bytes()


@pytest.mark.parametrize("fs", ["ext4", "ext2"])
@pytest.mark.soak(ci=2, whole=150)
def test_edits_end_where_a_clean_build_does(tmp_path: Path, rounds: int, fs: str) -> None:
    """Files of ext and of FAT added, changed, removed, renamed, linked, larger, smaller, of other modes (V11).

    After every few edits each image is compared, byte by byte, with what another folder and an empty cache make.
    """
    top = tmp_path / "edited"
    recipes = top / "recipes"
    (recipes / "tree/sbin").mkdir(parents=True)
    (recipes / "tree/sbin/init").write_bytes(b"#!/bin/sh\n")
    (recipes / "tree/sbin/init").chmod(0o755)
    (recipes / "vmlinuz").write_bytes(bzimage())
    (recipes / "own.yaml").write_text(RECIPE.replace("FS", fs))
    (top / "dodo.py").write_text(dodo("recipes/own.yaml"))
    chance = random.Random(f"{fs} {rounds}")
    both = [TreeEdits(recipes / "root", chance, links=True), TreeEdits(recipes / "esp", chance)]
    for number in range(rounds):
        done = [edits.edit() for edits in both for _ in range(chance.randrange(1, 8))]
        doit(top, "raw")
        clean = tmp_path / f"clean {number}"
        shutil.copytree(top, clean, symlinks=True, ignore=shutil.ignore_patterns("build", "cache", ".doit*"))
        doit(clean, "raw")
        for image in IMAGES:
            assert read(top, image) == read(clean, image), (image, done)
        assert "built " not in doit(top, "raw")
        shutil.rmtree(clean)
