"""The script that opens a verified root, run with a command line and partitions of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.tree import root_initramfs

HASH = "00112233445566778899aabbccddeeff" + "ffeeddccbbaa99887766554433221100"
DATA, TREE = "00112233-4455-6677-8899-aabbccddeeff", "ffeeddcc-bbaa-9988-7766-554433221100"
SHELLS = [["sh"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]


def opened(folder: Path, shell: list[str], cmdline: str, partitions: tuple[str, ...] = (DATA, TREE)) -> list[str]:
    """Return the words that veritysetup was called with."""
    (folder / "dev/disk/by-partuuid").mkdir(parents=True)
    for name in partitions:
        (folder / "dev/disk/by-partuuid" / name).touch()
    (folder / "cmdline").write_text(f"{cmdline}\n")
    program, called = folder / "veritysetup", folder / "called"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{called}\n')
    program.chmod(0o755)
    text = root_initramfs.OPEN.replace("/dev/", f"{folder}/dev/").replace("/proc/cmdline", str(folder / "cmdline"))
    text = text.replace("/usr/lib/bootsmith/veritysetup", str(program))
    text = (
        text.replace("udevadm settle", "true").replace("modprobe", "true").replace(f">{folder}/dev/null", ">/dev/null")
    )
    subprocess.run([*shell, "-c", text, "script"], check=True, cwd=folder, env={"PATH": os.environ["PATH"]})
    said = called.read_text().splitlines() if called.exists() else []
    return [word.removeprefix(f"{folder}/dev/disk/by-partuuid/") for word in said]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_the_root_is_opened_by_the_hash_that_the_kernel_was_told(tmp_path: Path, shell: list[str]) -> None:
    """Its partitions are those that the two halves name; what systemd's generator reads beside it is heeded."""
    words = opened(tmp_path, shell, f"root=/dev/mapper/root roothash={HASH} ro boot=overlay")
    assert words == ["open", DATA, "root", TREE, HASH]


def test_options_are_handed_on(tmp_path: Path) -> None:
    """By the word that systemd has for them."""
    told = f"roothash={HASH} systemd.verity_root_options=panic-on-corruption,ignore-zero-blocks"
    words = opened(tmp_path, ["sh"], told)
    assert words == ["--panic-on-corruption", "--ignore-zero-blocks", "open", DATA, "root", TREE, HASH]


@pytest.mark.parametrize(
    ("cmdline", "partitions"),
    [("root=/dev/vda2 ro", (DATA, TREE)), (f"roothash={HASH}", (DATA,)), ("roothash=ab", (DATA, TREE))],
)
def test_nothing_is_opened_without_all_of_it(tmp_path: Path, cmdline: str, partitions: tuple[str, ...]) -> None:
    """A boot that tells no hash is left alone; a partition that is late is waited for by who calls again."""
    assert opened(tmp_path, ["sh"], cmdline, partitions) == []
