"""An encrypted image as commands take it: booted, looked into, and its passphrase nowhere to be found (L17)."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.support.printing_disks import encrypted, printing_disk
from tests.support.small_guest import SmallProject
from tests.support.toy_project import ToyProject

PASSPHRASE = "open, $esame"


@pytest.fixture(name="project", scope="module")
def fixture_project(tmp_path_factory: pytest.TempPathFactory) -> ToyProject:
    """A project, and beside it an encrypted disk that a BIOS starts, under an awkward name."""
    here = tmp_path_factory.mktemp("here")
    (here / "project").mkdir()
    (here / "clear.raw").write_bytes(printing_disk("hello from the safe", ends=True))
    encrypted(here / "clear.raw", here / "it's a $HOME, no.qcow2", PASSPHRASE)
    (here / "my key").write_text(f"{PASSPHRASE}\n")
    return ToyProject.make(here / "project")


DISK = "../it's a $HOME, no.qcow2"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("run-bios", DISK), 1, "is encrypted\n  Give its passphrase: --passphrase file:PATH"),
        (("inspect", DISK), 3, "is encrypted\n  Give its passphrase: --passphrase file:PATH"),
        (("run-bios", DISK, "--passphrase", PASSPHRASE), 3, "a secret cannot stand on a command line"),
        (("inspect", "--passphrase", PASSPHRASE, DISK), 3, "a secret cannot stand on a command line"),
        (("run-bios", DISK, "--passphrase", "file:gone"), 3, "--passphrase: there is no file gone"),
        (("run-bios", DISK, "--passphrase", "env:GONE"), 3, "--passphrase: the environment variable GONE is not set"),
        (("run-bios", DISK, "--passphrase", "env:WRONG"), 1, "the passphrase given does not open it\n"),
        (("inspect", DISK, "--passphrase", "env:WRONG"), 1, "the passphrase given does not open it\n"),
        (("run-bios", "../clear.raw", "--passphrase", "env:WRONG"), 1, "is not encrypted, and needs no passphrase"),
        (("inspect", "../clear.raw", "--passphrase", "env:WRONG"), 3, "is not encrypted, and needs no passphrase"),
        (("run-direct", "--passphrase", "env:WRONG"), 3, "--passphrase goes with a KERNEL"),
    ],
)
def test_mistakes_are_told(project: ToyProject, words: tuple[str, ...], status: int, message: str) -> None:
    """Each is one message, which repeats no passphrase; QEMU is not started."""
    project.variables["WRONG"] = "another"
    done = project.doit(*words)
    assert done.returncode == status, done.stdout + done.stderr
    assert message in done.stdout + done.stderr
    assert PASSPHRASE not in done.stdout + done.stderr
    assert "qemu-system" not in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.boot
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_printed_command_starts_the_same_machine(project: ToyProject, shell: str) -> None:
    """Pasted into a shell it opens the disk: the shell fetches the passphrase, and no command line has it (L12)."""
    options = ("--print", "--accel", "tcg", "--memory", "64M", "--login", "none", "--qemu", "-no-reboot")
    done = project.doit("run-bios", DISK, *options, "--passphrase", "file:../my key")
    assert done.returncode == 0, done.stdout + done.stderr
    assert PASSPHRASE not in done.stdout
    script = done.stdout[done.stdout.index("/usr/bin/qemu-system") :].partition("\nEOF\n")[0] + "\nEOF\n"
    ran = subprocess.run(
        [shell, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, cwd="/", timeout=120, check=False
    )
    assert b"hello from the safe" in ran.stdout, ran.stderr


@pytest.mark.boot
def test_a_recipe_that_keeps_nothing_in_clear_is_tested_as_it_is(tmp_path: Path) -> None:
    """qemu-test boots the encrypted image by the recipe's own key, which is on no disk of ours nor printed (L17)."""
    small = SmallProject.make(tmp_path)
    (tmp_path / "recipes/key").write_text(f"{PASSPHRASE}\n")
    (tmp_path / "recipes/sealed.yaml").write_text("extends: small\noutputs: [qcow2: {encrypt: {file: key}}]\n")
    said = small.doit("qemu-test:sealed", "--accel", "tcg")
    assert "passed   qemu-test:sealed" in said
    assert "convert/qcow2:sealed" in said
    image = tmp_path / "build/sealed/sealed.qcow2"
    said += small.doit("run-uefi:sealed", "--format", "qcow2", "--print", "--accel", "tcg")
    assert f"format=qcow2,snapshot=on,cache=writeback,file={image},encrypt.key-secret=passphrase" in said
    assert f'$(printf %s "$(cat {tmp_path}/recipes/key)" | base64)' in said
    said += small.doit("qemu-test:sealed", "--accel", "tcg")
    assert "passed (cached" in said
    found = json.loads(small.doit("inspect", str(image), "--passphrase", f"file:{tmp_path}/recipes/key", "--json"))
    assert "EFI/BOOT/BOOTX64.EFI" in found["parts"][0]["loader"]
    secrets = [text.encode() for text in (PASSPHRASE, base64.b64encode(PASSPHRASE.encode()).decode())]
    assert not any(secret in said.encode() for secret in secrets)
    left = [path for place in ("build", "cache") for path in (tmp_path / place).rglob("*") if path.is_file()]
    assert any(path.name == "serial.log" for path in left)
    assert not [path for path in left for secret in secrets if secret in path.read_bytes()]
