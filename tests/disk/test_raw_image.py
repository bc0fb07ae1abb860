"""The raw disk: partitions at their places, nothing between, as sparse as they are."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.stages.assemble import raw_disk

from tests.support.disk_build import DiskBuild
from tests.support.tar_members import member

MIB = 1 << 20
DISK = (
    "disk: {partitions: {esp: {size: 64M}, gap: {fs: none, size: 2M, type: linux}, root: {mount: /, extra: 20M}}}\n"
    "boot: {packages: false}\n"
)
BIOS = (
    (
        "disk: {partitions: {bios: {type: bios-boot, size: 1M}, esp: {size: 64M}, root: {mount: /, extra: 20M}}}\n"
        "boot: {loader: [systemd-boot, grub-bios], packages: false}\n"
    ),
    "disk: {partitions: {root: {mount: /, extra: 20M}}}\nboot: {loader: grub-bios, packages: false}\n",
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path, monkeypatch, DISK)
    made.base({"./": member("d"), "file": random.Random(1).randbytes(5 * MIB)})
    return made


def parts(build: DiskBuild) -> list[tuple[str, int, int]]:
    """Return each partition's name, start and size."""
    rows = json.loads(build.site.layout.read_text())["partitions"]
    return [(row["name"], row["start"], row["size"]) for row in rows]


def test_the_disk_is_the_table_and_the_partitions(build: DiskBuild) -> None:
    """Byte for byte; what has no filesystem is zeros."""
    disk = build.raw_disk().read_bytes()
    wanted = bytearray(build.site.table.read_bytes())
    for name, start, _ in parts(build):
        if name != "gap":
            image = build.site.partition_image(name).read_bytes()
            wanted[start : start + len(image)] = image
    assert disk == wanted


def test_the_disk_occupies_what_its_content_weighs(build: DiskBuild) -> None:
    """A 10 GiB disk of a few MiB stays small (W2)."""
    build.write_recipe(DISK.replace("disk: {", "disk: {size: 10G, "))
    disk = build.raw_disk()
    assert disk.stat().st_size == 10 << 30
    assert disk.stat().st_blocks * 512 < 200 * MIB


@pytest.mark.parametrize(("text", "seed"), [*((DISK, seed) for seed in range(4)), *((text, 1) for text in BIOS)])
def test_patching_any_old_disk_gives_the_fresh_one(build: DiskBuild, text: str, seed: int) -> None:
    """Shorter, longer, scribbled over or moved about, boot code too: the result never depends on it."""
    build.write_recipe(text)
    disk = build.raw_disk()
    wanted = disk.read_bytes()
    chance = random.Random(seed)
    with disk.open("r+b") as file:
        for _ in range(20):
            file.seek(chance.randrange(len(wanted)))
            file.write(chance.randbytes(chance.randrange(100_000)))
        file.truncate(chance.choice([0, len(wanted) // 2, len(wanted), 2 * len(wanted)]))
    before = disk.stat().st_ino
    build.run("assemble", patch=True)
    assert disk.read_bytes() == wanted
    assert disk.stat().st_ino == before, "it was to be patched, not made anew"


@pytest.mark.parametrize("text", [DISK, *BIOS])
def test_patching_writes_only_what_differs(build: DiskBuild, text: str) -> None:
    """Untouched stretches of the previous disk are not even written again."""
    build.write_recipe(text)
    disk = build.raw_disk()
    inode = disk.stat().st_ino
    written = []
    real = os.pwrite

    def pwrite(fd: int, data: Any, at: int) -> int:
        if os.fstat(fd).st_ino == inode:
            written.append(len(data))
        return real(fd, data, at)

    build.monkeypatch.setattr(os, "pwrite", pwrite)
    build.run("assemble", patch=True)
    assert disk.stat().st_ino == inode
    assert written == []


def test_a_grown_partition_moves_the_others(build: DiskBuild) -> None:
    """A patched disk follows a changed layout."""
    build.raw_disk()
    build.write_recipe(DISK.replace("size: 64M", "size: 100M"))
    patched = build.raw_disk(patch=True).read_bytes()
    build.run("assemble")
    assert raw_disk(build.recipe, build.site).read_bytes() == patched


def test_the_disk_is_the_raw_output_or_stays_inside(build: DiskBuild) -> None:
    """raw is kept under the recipe's name for it, and only when listed (V17)."""
    assert raw_disk(build.recipe, build.site) == build.site.build / "box.raw"
    build.write_recipe(DISK + "outputs: [raw: {file: mine.img}]\n")
    assert raw_disk(build.recipe, build.site) == build.site.build / "mine.img"
    build.write_recipe(DISK + "outputs: [qcow2]\n")
    assert raw_disk(build.recipe, build.site) == build.site.build / "assemble/disk.raw"


def test_a_partition_larger_than_its_place_is_refused(build: DiskBuild) -> None:
    """It would run over the next one."""
    build.raw_disk()
    os.truncate(build.site.partition_image("esp"), 65 * MIB)
    with pytest.raises(StageError, match="larger than its partition"):
        build.run("assemble")
