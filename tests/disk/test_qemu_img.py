"""Converted images: the same disk in another format, the same bytes every time."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.planning.stages import convert

from tests.support.disk_build import DiskBuild
from tests.support.tar_members import member

DISK = "disk: {partitions: {esp: {size: 64M}, root: {mount: /, extra: 20M}}}\nboot: {packages: false}\n"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path, monkeypatch, DISK)
    made.base({"./": member("d"), "file": random.Random(1).randbytes(5 << 20), "text": b"compresses well " * 100_000})
    return made


def info(image: Path) -> dict[str, Any]:
    """Return what qemu-img says of an image."""
    found = subprocess.run(["qemu-img", "info", "--output=json", "-f", "qcow2", image], capture_output=True, check=True)
    loaded: dict[str, Any] = json.loads(found.stdout)
    return loaded


@pytest.mark.parametrize(
    ("options", "compat", "kind", "lazy", "cluster"),
    [
        ("", "1.1", "zstd", True, 65536),
        (": {compress: none}", "1.1", "zlib", True, 65536),
        (": {compress: none, preallocation: 'off', cluster: 1M, lazy_refcounts: false}", "1.1", "zlib", False, 1 << 20),
        (": {compress: zlib, compat: '0.10'}", "0.10", None, None, 65536),
        (": {compress: none, preallocation: falloc}", "1.1", "zlib", True, 65536),
    ],
)
def test_qcow2_is_the_same_disk_as_asked_for(
    build: DiskBuild, options: str, compat: str, kind: str | None, lazy: bool | None, cluster: int
) -> None:
    """qemu-img finds it identical and clean, of the compat level, cluster size and refcounts of the recipe (L8, W1)."""
    build.write_recipe(DISK + f"outputs: [raw, qcow2{options}]\n")
    raw = build.raw_disk()
    build.run("convert/qcow2")
    image = build.site.output("box.qcow2")
    subprocess.run(["qemu-img", "compare", "-q",
                    "-f", "raw", "-F", "qcow2", raw, image], check=True)  # fmt: skip
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", image], check=True)
    found = info(image)
    data = found["format-specific"]["data"]
    assert (found["cluster-size"], data["compat"]) == (cluster, compat)
    assert data.get("lazy-refcounts") == lazy
    if kind:
        assert data["compression-type"] == kind


def test_converting_twice_gives_the_same_bytes(build: DiskBuild) -> None:
    """Clusters are written in order, however many threads compress them."""
    build.raw_disk()
    images = []
    for _ in range(3):
        build.run("convert/qcow2")
        images.append(build.site.output("box.qcow2").read_bytes())
    assert images[0] == images[1] == images[2]


def test_several_outputs_of_one_format_are_stages_of_their_own(build: DiskBuild) -> None:
    """Each with its own options and file."""
    build.write_recipe(DISK + "outputs: [qcow2, qcow2: {file: plain.qcow2, compress: none}]\n")
    stages = convert.stages(build.recipe, build.site)
    assert [(stage.name, stage.outputs["image"].name) for stage in stages] == [
        ("convert/qcow2", "box.qcow2"),
        ("convert/qcow2-2", "plain.qcow2"),
    ]


def test_a_raw_disk_is_never_probed(build: DiskBuild) -> None:
    """A "raw" disk that begins like a qcow2 is converted as the bytes it is, its backing file not opened."""
    raw = build.raw_disk()
    with raw.open("r+b") as file:
        file.write(b"QFI\xfb" + (3).to_bytes(4, "big"))
    build.run("convert/qcow2")
    image = build.site.output("box.qcow2")
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", raw, image], check=True)
