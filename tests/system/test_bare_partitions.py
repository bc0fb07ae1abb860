"""Partitions without files: swap, and bytes that stand at a place, with and without an entry in the table. C12, C18."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import tiny_kernel
from tests.support.project import dodo, doit

RECIPE = """
source: {directory: {path: tree, modes: exec}}
disk:
  table: TABLE
  partitions:
    firmware: {content: firmware.bin, start: STARTs, in_table: false}
    root: {mount: /, size: 64M, start: 1M}
    code: {content: firmware.bin, type: linux}
    swap: {fs: swap, size: 8M}
boot: {loader: direct, kernel: linux, initrd: none}
outputs: [raw]
"""


@pytest.mark.parametrize(("table", "start"), [("mbr", 16), ("gpt", 40)])
def test_what_is_bare_stands_where_it_is_to(tmp_path: Path, table: str, start: int) -> None:
    """sfdisk sees what the table is to have, the bytes are at their places, fstab and verify know the swap."""
    firmware = bytes(range(1, 256)) * 100
    (tmp_path / "firmware.bin").write_bytes(firmware)
    (tmp_path / "tree/sbin").mkdir(parents=True)
    (tmp_path / "tree/sbin/init").write_text("#!/bin/sh\n")
    (tmp_path / "tree/sbin/init").chmod(0o755)
    (tmp_path / "tree/etc").mkdir()
    (tmp_path / "tree/etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tmp_path / "tree/etc/group").write_text("root:x:0:\n")
    (tmp_path / "tree/etc/shadow").write_text("root:*:1:0:99999:7:::\n")
    (tmp_path / "linux").write_bytes(tiny_kernel.kernel())
    (tmp_path / "my.yaml").write_text(RECIPE.replace("TABLE", table).replace("START", str(start)))
    (tmp_path / "dodo.py").write_text(dodo("my.yaml"))
    doit(tmp_path, "image")
    disk = tmp_path / "build/my/my.raw"
    listed = subprocess.run(["sfdisk", "-d", disk], check=True, capture_output=True, text=True).stdout
    rows = [line for line in listed.splitlines() if "start=" in line]
    assert len(rows) == 3
    at = int(rows[1].partition("start=")[2].partition(",")[0]) * 512
    data = disk.read_bytes()
    assert data[start * 512 :].startswith(firmware)
    assert data[at:].startswith(firmware)
    assert " none swap sw 0 0" in " ".join(doit(tmp_path, "cat", "/etc/fstab").split())
    said = doit(tmp_path, "verify")
    assert "swap" in said
    assert "wrong" not in said
