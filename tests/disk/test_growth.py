"""Outputs with a size of their own: the disk, its last partition and filesystem are larger there, and nowhere else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError

from tests.support import tiny_kernel
from tests.support.disk_build import DiskBuild
from tests.support.single_stage import run_stage

MIB = 1 << 20
DISK = """\
disk: {partitions: {boot: {size: 40M, fs: vfat, mount: /data}, root: {mount: /, extra: 20M}}}
boot: {loader: grub-bios, packages: false}
outputs: [raw, qcow2: {size: 300M, compress: none}, raw: {size: 300M, file: large.raw}]
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """The disk, and what it is grown to."""
    made = tiny_kernel.disk_build(tmp_path, monkeypatch, DISK)
    made.raw_disk()
    made.run("convert/grow-300M")
    return made


def test_an_output_may_be_larger_than_the_disk(build: DiskBuild) -> None:
    """Its last partition and filesystem too, which is whole; the raw disk stays; both are that one disk (W3)."""
    raw, grown = build.site.output("box.raw"), build.stages()["convert/grow-300M"].outputs["grown"]
    build.run("convert/qcow2")
    build.run("convert/raw")
    assert raw.stat().st_size < grown.stat().st_size == 300 * MIB
    told = subprocess.run(["sfdisk", "-J", grown], capture_output=True, check=True).stdout
    last = json.loads(told)["partitiontable"]["partitions"][-1]
    assert (last["start"] + last["size"]) * 512 == 300 * MIB
    place = f"{grown}?offset={last['start'] * 512}"
    subprocess.run(["e2fsck", "-fn", place], check=True, capture_output=True)
    head = subprocess.run(["dumpe2fs", "-h", place], check=True, capture_output=True, text=True).stdout
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    assert int(fields["Block count"]) * int(fields["Block size"]) == last["size"] * 512
    assert build.site.output("large.raw").read_bytes() == grown.read_bytes()
    words = ["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", grown, build.site.output("box.qcow2")]
    subprocess.run(words, check=True)


def test_what_does_not_grow_with_its_partition_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A btrfs is grown by the system that mounts it: nobody is left to find that out."""
    made = tiny_kernel.disk_build(tmp_path, monkeypatch, DISK.replace("root: {", "root: {fs: btrfs, "))
    made.raw_disk()
    told = run_stage(made.stages()["convert/grow-300M"], tmp_path / "work")
    assert "what is in the last partition (btrfs) is as large as it was: it is grown from within" in "\n".join(told)


def test_a_grown_disk_is_the_same_each_time(build: DiskBuild) -> None:
    """Made at another time it is the same, to the byte."""
    grown = build.stages()["convert/grow-300M"].outputs["grown"]
    before = grown.read_bytes()
    grown.unlink()
    build.run("convert/grow-300M")
    assert grown.read_bytes() == before


def test_an_output_is_not_smaller_than_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk whose size follows from its content is known only when it is there."""
    made = tiny_kernel.disk_build(tmp_path, monkeypatch, DISK.replace("300M", "16M"))
    made.raw_disk()
    with pytest.raises(StageError, match=r"is to hold a disk of 16\.0 MiB, and the disk has"):
        made.run("convert/grow-16M")
