"""Swap, made without mkswap: the bytes that it would write. C12."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.swap import SwapParams
from bootsmith.tasks.errors import StageError

from tests.support.single_stage import run_stage

UUID = "179ab335-08ea-462f-983b-8b2fbd8620c7"


def make(folder: Path, size: int) -> Path:
    geometry, image = folder / "geometry.json", folder / "out/swap.img"
    geometry.write_text(json.dumps({"size": size}))
    params = SwapParams("swap", UUID, "a label").to_json()
    run_stage(
        Stage("populate/swap", "bootsmith.tasks.disk.swap:run", {"geometry": geometry}, {"image": image}, params),
        folder / "work",
    )
    return image


def test_it_is_what_mkswap_makes(tmp_path: Path) -> None:
    """Byte for byte, and it takes a page."""
    image, theirs = make(tmp_path, 64 << 20), tmp_path / "theirs"
    with theirs.open("wb") as file:
        file.truncate(64 << 20)
    theirs.chmod(0o600)
    subprocess.run(["mkswap", "-p", "4096", "-U", UUID, "-L", "a label", theirs], check=True, capture_output=True)
    assert image.read_bytes() == theirs.read_bytes()
    assert image.stat().st_blocks * 512 <= 8192


def test_one_that_linux_would_not_take_is_refused(tmp_path: Path) -> None:
    """With the key to change."""
    with pytest.raises(StageError, match=r"partition swap: 4096 bytes are too little for swap"):
        make(tmp_path, 4096)
