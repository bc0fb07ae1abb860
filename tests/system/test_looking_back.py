"""Commands that look at a finished build need not be told again what it was told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel_files import bzimage
from tests.support.project import dodo, doit, environment

RECIPE = """\
source: {directory: tree}
system: none
vars: {who: {help: who it is for}, other: usual}
layers: [files: {/etc/who: {content: "${who} ${other}"}}]
boot: {loader: syslinux, kernel: vmlinuz, initrd: none}
outputs: [raw]
"""
NOTE = "who=me, as the last build of box was told\n"


@pytest.fixture(name="top", scope="module")
def fixture_top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose recipe has a variable that must be given; it was built with one, and an override."""
    top = tmp_path_factory.mktemp("looking")
    (top / "tree/sbin").mkdir(parents=True)
    (top / "tree/sbin/init").write_text("#!/bin/sh\n")
    (top / "tree/sbin/init").chmod(0o755)
    (top / "vmlinuz").write_bytes(bzimage())
    (top / "box.yaml").write_text(RECIPE)
    (top / "dodo.py").write_text(dodo("box.yaml"))
    assert "vars.who: this variable must be given" in doit(top, "inspect", status=3)
    doit(top, "who=you", "other=changed", "image")
    doit(top, "who=me", "image")
    return top


@pytest.mark.parametrize("words", ["log", "explain", "show", "inspect", "info rootfs", "list -s", "clean -n image"])
def test_what_looks_at_a_build_goes_by_what_that_was_told(top: Path, words: str) -> None:
    """It says so, apart from its answer; nothing is built anew."""
    done = subprocess.run(
        [sys.executable, "-m", "doit", *words.split()], cwd=top, env=environment(top), text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(NOTE) == 1
    assert NOTE not in done.stdout
    assert "built " not in done.stdout


def test_a_build_is_told_each_time(top: Path) -> None:
    """What must be given shapes the image: none is built of a value that nobody said."""
    for words in (["image"], ["raw", "inspect"], []):
        assert "vars.who: this variable must be given" in doit(top, *words, status=3)


def test_answers_for_programs_stand_alone(top: Path) -> None:
    """`run-bios --print > cmd.sh` is the command and no more, though stages are made for it; and so is JSON."""
    for words in (["run-bios", "--print", "--accel", "tcg"], ["inspect", "--json"]):
        doit(top, "who=me", "clean", "image")
        done = subprocess.run(
            [sys.executable, "-m", "doit", "who=me", *words], cwd=top, env=environment(top), text=True,
            capture_output=True, check=True,
        )  # fmt: skip
        assert "restored rootfs" in done.stderr
        if "--json" in words:
            assert json.loads(done.stdout)["format"] == "raw"
        else:
            checked = subprocess.run(["sh", "-n"], input=done.stdout, text=True, check=True, capture_output=True)
            assert checked.stderr == ""
            assert "qemu-system" in done.stdout.splitlines()[0]
            assert all(line.endswith("\\") for line in done.stdout.splitlines()[:-1])
            assert "Ctrl-A X ends the machine" in done.stderr
