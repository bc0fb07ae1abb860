"""CDs made by their real stages of a tree and a kernel made by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.machine import firmware, qemu
from bootsmith.tasks.planning.stages import iso

from tests.support import tiny_kernel
from tests.support.disk_build import DiskBuild
from tests.support.machine_keys import TCG, machine
from tests.support.single_stage import run_stage


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> DiskBuild:
    """Return a build with an empty tree and the tiny kernel; `text` is its recipe, without a source."""
    made = tiny_kernel.disk_build(folder, monkeypatch, text)
    made.stages()  # of which the layers stay put
    return made


def make(made: DiskBuild, name: str = "convert/iso") -> Path:
    """Make a build's CD."""
    stage = next(each for each in iso.stages(made.recipe, made.site) if each.name == name)
    made.runs += 1
    run_stage(stage, made.folder / f"scratch/{made.runs}")
    return stage.outputs["image"]


def serial_of(image: Path, log: Path, *, cd: bool, uefi: bool = False, seconds: int = 300, **keys: Any) -> str:
    """Run an ISO, as a CD or as a disk, until the machine resets; return what it printed on the serial port."""
    argv = qemu.command(
        machine(serial=str(log), memory=256 << 20, cpus=1, nic="none", **keys), disk=image,
        format="iso" if cd else "raw", firmware=firmware.find() if uefi else None, accel=TCG, reboot=False,
    )  # fmt: skip
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0, done.stderr
    return log.read_text(errors="replace")
