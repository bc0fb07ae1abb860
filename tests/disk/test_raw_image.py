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

from tests.support.disk_stages import Workbench, member

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
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A workbench with a small base."""
    made = Workbench(tmp_path, monkeypatch, DISK)
    made.base({"./": member("d"), "file": random.Random(1).randbytes(5 * MIB)})
    return made


def parts(bench: Workbench) -> list[tuple[str, int, int]]:
    """Return each partition's name, start and size."""
    rows = json.loads(bench.site.layout.read_text())["partitions"]
    return [(row["name"], row["start"], row["size"]) for row in rows]


def test_the_disk_is_the_table_and_the_partitions(bench: Workbench) -> None:
    """Byte for byte; what has no filesystem is zeros."""
    disk = bench.build().read_bytes()
    wanted = bytearray(bench.site.table.read_bytes())
    for name, start, _ in parts(bench):
        if name != "gap":
            image = bench.site.partition_image(name).read_bytes()
            wanted[start : start + len(image)] = image
    assert disk == wanted


def test_the_disk_occupies_what_its_content_weighs(bench: Workbench) -> None:
    """A 10 GiB disk of a few MiB stays small (W2)."""
    bench.write_recipe(DISK.replace("disk: {", "disk: {size: 10G, "))
    disk = bench.build()
    assert disk.stat().st_size == 10 << 30
    assert disk.stat().st_blocks * 512 < 200 * MIB


@pytest.mark.parametrize(("text", "seed"), [*((DISK, seed) for seed in range(4)), *((text, 1) for text in BIOS)])
def test_patching_any_old_disk_gives_the_fresh_one(bench: Workbench, text: str, seed: int) -> None:
    """Shorter, longer, scribbled over or moved about, boot code too: the result never depends on it."""
    bench.write_recipe(text)
    disk = bench.build()
    wanted = disk.read_bytes()
    chance = random.Random(seed)
    with disk.open("r+b") as file:
        for _ in range(20):
            file.seek(chance.randrange(len(wanted)))
            file.write(chance.randbytes(chance.randrange(100_000)))
        file.truncate(chance.choice([0, len(wanted) // 2, len(wanted), 2 * len(wanted)]))
    before = disk.stat().st_ino
    bench.run("assemble", patch=True)
    assert disk.read_bytes() == wanted
    assert disk.stat().st_ino == before, "it was to be patched, not made anew"


@pytest.mark.parametrize("text", [DISK, *BIOS])
def test_patching_writes_only_what_differs(bench: Workbench, text: str) -> None:
    """Untouched stretches of the previous disk are not even written again."""
    bench.write_recipe(text)
    disk = bench.build()
    inode = disk.stat().st_ino
    written = []
    real = os.pwrite

    def pwrite(fd: int, data: Any, at: int) -> int:
        if os.fstat(fd).st_ino == inode:
            written.append(len(data))
        return real(fd, data, at)

    bench.monkeypatch.setattr(os, "pwrite", pwrite)
    bench.run("assemble", patch=True)
    assert disk.stat().st_ino == inode
    assert written == []


def test_a_grown_partition_moves_the_others(bench: Workbench) -> None:
    """A patched disk follows a changed layout."""
    bench.build()
    bench.write_recipe(DISK.replace("size: 64M", "size: 100M"))
    patched = bench.build(patch=True).read_bytes()
    bench.run("assemble")
    assert raw_disk(bench.recipe, bench.site).read_bytes() == patched


def test_the_disk_is_the_raw_output_or_stays_inside(bench: Workbench) -> None:
    """raw is kept under the recipe's name for it, and only when listed (V17)."""
    assert raw_disk(bench.recipe, bench.site) == bench.site.build / "box.raw"
    bench.write_recipe(DISK + "outputs: [raw: {file: mine.img}]\n")
    assert raw_disk(bench.recipe, bench.site) == bench.site.build / "mine.img"
    bench.write_recipe(DISK + "outputs: [qcow2]\n")
    assert raw_disk(bench.recipe, bench.site) == bench.site.build / "assemble/disk.raw"


def test_a_partition_larger_than_its_place_is_refused(bench: Workbench) -> None:
    """It would run over the next one."""
    bench.build()
    os.truncate(bench.site.partition_image("esp"), 65 * MIB)
    with pytest.raises(StageError, match="larger than its partition"):
        bench.run("assemble")
