"""Stages that have programs look at an ext filesystem, in folders called anything."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.formats.packed import PackedParams
from bootsmith.tasks.disk.growth import GrowthParams
from bootsmith.tasks.disk.luks import header, volume
from bootsmith.tasks.disk.luks.volume import LuksParams
from bootsmith.tasks.inspection.readback import CheckParams

from tests.support.single_stage import run_stage

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name e2fsprogs would take for options, with a filesystem and a passphrase in it."""
    made = tmp_path / "what?offset=512&x"
    made.mkdir()
    (made / "word").write_bytes(b"correct horse\n")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", made / "image", "64M"], check=True, capture_output=True)
    return made


def ran(folder: Path, function: str, role: str, output: str, params: Mapping[str, Any], *tools: str) -> Path:
    """Run a stage that makes something of the filesystem; return what it makes."""
    target = folder / "out" / output
    secrets = {volume.SECRET: Secret(file=folder / "word")} if "luks" in function else {}
    stage = Stage(
        "x", f"bootsmith.tasks.{function}", {role: folder / "image"}, {output: target}, params, tools, secrets=secrets,
    )  # fmt: skip
    run_stage(stage, folder / "work")
    return target


def test_a_volume_leaves_out_what_is_unused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which dumpe2fs tells."""
    monkeypatch.setattr(header, "ITERATIONS", 1000)
    params = LuksParams("root", 2, "179ab335-08ea-462f-983b-8b2fbd8620c7", "").to_json()
    made = ran(folder, "disk.luks.volume:run", "image", "image", params, *volume.TOOLS)
    assert made.stat().st_blocks * 512 < 16 * MIB


def test_a_disk_grows_with_its_filesystem(folder: Path) -> None:
    """To the end that it is to have, by resize2fs, and is sound."""
    made = ran(
        folder, "disk.growth:run", "disk", "grown", GrowthParams(100 * MIB, 1).to_json(), "resize2fs", "e2fsck"
    )  # fmt: skip
    with made.open("rb") as file:
        told = subprocess.run(["dumpe2fs", "-h", "/dev/stdin"], stdin=file, check=True, capture_output=True).stdout
    fields = dict(line.split(":", 1) for line in told.decode().splitlines() if ":" in line)
    assert int(fields["Block count"]) * int(fields["Block size"]) == 100 * MIB


def test_a_filesystem_is_read_back(folder: Path) -> None:
    """It is sound, whatever it is called."""
    params = CheckParams("e2fsck", ("-f", "-n")).to_json()
    assert (
        ran(folder, "inspection.readback:check", "image", "verdict", params, "e2fsck").read_text() == "e2fsck: clean\n"
    )


def test_a_map_leaves_out_what_is_unused(folder: Path) -> None:
    """Of a disk that is one filesystem too."""
    target = folder / "out"
    stage = Stage(
        "x", "bootsmith.tasks.disk.formats.packed:run", {"disk": folder / "image"},
        {"image": target / "image.zst", "map": target / "map"}, PackedParams("zstd").to_json(), ("zstd", "dumpe2fs"),
    )  # fmt: skip
    run_stage(stage, folder / "work")
    mapped = next(line for line in (target / "map").read_text().splitlines() if "<MappedBlocksCount>" in line)
    assert int(mapped.split()[1]) * 4096 < 16 * MIB
