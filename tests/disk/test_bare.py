"""Disks without a table, and without a root: one bare filesystem for a kernel that QEMU starts, or an ESP alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import inspect
from extimage import read_tree
from workbench import Workbench, member


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A workbench with a small base."""
    made = Workbench(tmp_path, monkeypatch)
    made.base({"./": member("d"), "etc/": member("d"), "etc/motd": b"hello"})
    return made


def test_a_disk_can_be_one_filesystem(bench: Workbench) -> None:
    """From its first byte on it is the root filesystem, sound, with the tree in it; there is no table (W12)."""
    bench.write_recipe("boot: {loader: direct}\n")
    raw = bench.build()
    assert raw.read_bytes() == bench.site.partition_image("root").read_bytes()
    assert read_tree(raw)[b"etc/motd"].content == b"hello"
    assert subprocess.run(["e2fsck", "-fn", raw], capture_output=True, check=False).returncode == 0
    found = inspect.inspect(raw)
    assert (found.table, found.parts[0].filesystem and found.parts[0].filesystem.label) == ("none", "root")


def test_an_edit_patches_it_to_the_same_bytes(bench: Workbench) -> None:
    """Changed in place or made anew, a disk without a table has the same bytes."""
    bench.write_recipe("disk: {table: none, size: 400M}\nboot: {loader: direct}\n")
    bench.build()
    with bench.delta("1-more") as writer:
        writer.add_file("etc/more", b"more")
    patched = bench.build(patch=True).read_bytes()
    assert len(patched) == 400 << 20
    bench.build()
    assert bench.build().read_bytes() == patched


def test_it_is_found_by_its_filesystem(bench: Workbench) -> None:
    """Without a table there is no PARTUUID: the kernel is told the filesystem's UUID."""
    bench.write_recipe("boot: {loader: direct}\n")
    menu = bench.stages()["bootloader"].params["menu"]
    uuid = bench.recipe.disk.partitions["root"].uuid
    assert menu["items"][0]["cmdline"].startswith(f"root=UUID={uuid} ro ")  # type: ignore[call-overload, index]


def test_the_tree_as_an_initrd_needs_no_root(bench: Workbench) -> None:
    """With a loader that brings the kernel along there is an ESP alone, and nothing of the tree on it."""
    bench.write_recipe("boot: {loader: efistub, initrd: tree}\nsystem: none\n")
    assert list(bench.recipe.disk.partitions) == ["esp"]
    assert bench.recipe.boot.root == "none"
    stages = bench.stages()
    assert not any("base" in role for role in stages["partition"].inputs)
    bench.write_recipe("boot: {loader: direct, initrd: tree}\nsystem: none\noutputs: [kernel, initramfs]\n")
    assert not bench.recipe.disk.partitions
