"""Recipes of files that are there already: no lock, no network, and a choice that is made anew each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kernel_files import bzimage, stand_in
from tests.support.project import dodo, doit

OWN = """\
source: {directory: tree}
layers: [devices: {/dev/console: c 5 1}]
boot: {loader: direct, kernel: {first: [newer, vmlinuz]}, initrd: tree}
outputs: [kernel, initramfs]
"""
MACH = """\
source: {debian: {suite: bookworm, mirror: "http://127.0.0.1:9/debian"}}
disk: {partitions: {root: {fs: ext2, mount: /}}}
boot:
  loader: grub-bios
  protocol: multiboot
  kernel: {first: [gone, {package: gnumach, path: /boot/gnumach}], as: /boot/gnumach}
outputs: [raw]
"""


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A project whose recipe needs nothing but files beside it."""
    recipes = tmp_path / "recipes"
    (recipes / "tree").mkdir(parents=True)
    (recipes / "tree/init").write_bytes(stand_in("hello"))
    (recipes / "tree/init").chmod(0o755)
    (recipes / "vmlinuz").write_bytes(bzimage())
    (recipes / "own.yaml").write_text(OWN)
    (tmp_path / "dodo.py").write_text(dodo("recipes/own.yaml"))
    return tmp_path


def test_a_recipe_of_ones_own_files_has_no_lock(top: Path) -> None:
    """No packages, no lock file, nothing to update; what is made carries the first day that FAT can tell."""
    doit(top, "image")
    assert not (top / "recipes/own.lock").exists()
    assert "own needs no packages, so it has no own.lock" in doit(top, "update")
    archive = (top / "build/own/initramfs/tree.cpio").read_bytes()
    assert archive[46:54] == b"%08X" % 315_532_800
    assert "built " not in doit(top, "image")


def test_the_choice_is_told_and_made_anew(top: Path) -> None:
    """A better file that turns up is taken by the next run, and one that goes is missed. L18."""
    assert "boot.kernel.file: recipes/vmlinuz (recipes/newer not there)" in doit(top, "image")
    (top / "recipes/newer").write_bytes(bzimage("9.9-newer"))
    said = doit(top, "image")
    assert "boot.kernel.file: recipes/newer\n" in said
    assert (top / "build/own/own.vmlinuz").read_bytes() == bzimage("9.9-newer")
    (top / "recipes/newer").unlink()
    doit(top, "image")
    assert (top / "build/own/own.vmlinuz").read_bytes() == bzimage()


def test_variables_are_the_named_recipe_s(top: Path) -> None:
    """A command about another recipe takes its variables, though the default recipe has none; others are refused."""
    (top / "recipes/other.yaml").write_text(OWN.replace("newer", '"${first}"') + "vars: {first: {help: which}}\n")
    assert "file: vmlinuz" in doit(top, "first=recipes/vmlinuz", "show:other")
    assert "there is no such variable or key" in doit(top, "frist=recipes/vmlinuz", "first=x", "show:other", status=3)
    assert "there is no such variable or key" in doit(top, "first=recipes/vmlinuz", "show", status=3)


def test_an_init_that_vanishes_is_told(top: Path) -> None:
    """What made the recipe right is looked at again: a folder without its init is not packed. W4, V7."""
    doit(top, "image")
    (top / "recipes/tree/init").unlink()
    assert "/init" in doit(top, "image", status=3)


def test_a_disk_is_missed_where_there_is_none(top: Path) -> None:
    """Commands that are about a disk say that the recipe has none."""
    doit(top, "image")
    assert "own has no disk\n  `doit run-direct` starts its kernel." in doit(top, "inspect", status=3)


def test_no_kernel_anywhere_names_package_and_places(top: Path) -> None:
    """Without file and mirror the error says what was looked for, which package would do, and what to do. L4."""
    (top / "recipes/mach.yaml").write_text(MACH)
    said = doit(top, "image:mach", status=1, no_proxy="127.0.0.1")
    assert "recipes/gone: not there; and /boot/gnumach of the package gnumach cannot be had" in said
    assert "Or create one of these files." in said
    assert not (top / "recipes/mach.lock").exists()
