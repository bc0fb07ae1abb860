"""The initramfs of a live system: what the tree's own mkinitramfs, here a shell script of ours, finds besides."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning.stages import initrd, iso
from bootsmith.tasks.tree import live_initramfs, live_root

from tests.support.tree_build import TreeBuild
from tests.tree.test_initramfs import plant

TELLING = """\
#!/bin/sh
set -e
for file in hooks/bootsmith-live scripts/live; do
    echo "== $file"
    [ ! -e "/usr/share/initramfs-tools/$file" ] || cat "/usr/share/initramfs-tools/$file"
done >"$2"
"""


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, bytes]) -> str:
    """Return what a tree's mkinitramfs finds of ours, the tree having `more` files."""
    build = TreeBuild(tmp_path, monkeypatch)
    plant(build, TELLING, more)
    text = "outputs: [iso]\n"
    build.tree(text)
    recipe = build.recipe(text)
    stages: list[Stage] = [*initrd.stages(recipe, build.site), *iso.stages(recipe, build.site)]
    for name in ("initramfs/view", "iso/initrd"):
        build.run(next(each for each in stages if each.name == name))
    return build.site.live_initrd_for("").read_text()


def test_hook_and_script_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mkinitramfs finds a hook that any shell reads, and the script that `boot=live` names, where the CD has its root.

    W17.
    """
    found = made(tmp_path, monkeypatch, {})
    _, hook, script = found.split("== ")
    assert script.partition("\n")[2] == live_initramfs.SCRIPT
    assert f"/run/live/medium/{live_root.PATH}" in script
    for text in (hook.partition("\n")[2], script.partition("\n")[2]):
        assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_live_boot_is_left_to_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree with Debian's live-boot keeps its script, and gets no hook of ours."""
    found = made(tmp_path, monkeypatch, {"./usr/share/initramfs-tools/scripts/live": b"theirs\n"})
    assert found == "== hooks/bootsmith-live\n== scripts/live\ntheirs\n"
