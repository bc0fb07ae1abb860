"""Tables of any layout, judged by the field's own programs, sfdisk and sgdisk."""

from __future__ import annotations

import json
import random
import subprocess
import uuid
from pathlib import Path

import pytest
from bootsmith.tasks.disk import gpt, mbr
from bootsmith.tasks.disk.layout import BOUNDS, Layout, Size, Wanted, plan
from bootsmith.tasks.disk.sizing import MIB, round_up
from bootsmith.tasks.errors import StageError

LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"


def wishes(chance: random.Random, table: str) -> tuple[Size, list[Wanted]]:
    """Return a disk as people write them: sizes in sectors and MiB, fixed starts, one that takes the rest."""
    wanted, cursor = list[Wanted](), BOUNDS[table].start * 512
    elastic = chance.randrange(8)
    for number in range(chance.randint(1, 4 if table == "mbr" else 12)):
        size = chance.choice((512, 2014 * 512, MIB, 33 * MIB + 512 * 5, chance.randrange(1, 1 << 18) * 512))
        start = None if chance.random() < 0.7 else round_up(cursor + chance.randrange(1, 4000) * 512, 512)
        told: Size = "remaining" if number == elastic else size
        wanted.append(Wanted(str(number), told, size, lambda _: True, size, start))
        cursor = (start if start is not None else round_up(cursor, MIB)) + size
    if any(each.size == "remaining" for each in wanted) or chance.random() < 0.3:
        return round_up(cursor, MIB) + chance.randrange(1, 3 << 12) * MIB, wanted
    return "auto", wanted


def write(file: Path, table: str, planned: Layout) -> None:
    """Write a disk that holds a table alone."""
    if table == "mbr":
        ours = [mbr.Slot(place.start, place.size, 0x83) for place in planned.places]
        start, end = mbr.encode(planned.size, "deadbeef", ours), b""
    else:
        slots = [
            gpt.Slot(place.start, place.size, LINUX, str(uuid.UUID(int=number)), place.name)
            for number, place in enumerate(planned.places, 1)
        ]
        start, end = gpt.encode(planned.size, str(uuid.UUID(int=99)), slots)
    with file.open("wb") as image:
        image.truncate(planned.size)
        image.write(start)
        image.seek(planned.size - len(end))
        image.write(end)


def run(*words: str | Path) -> str:
    """Run a program that must find no fault; return what it said."""
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout


@pytest.mark.soak(ci=100, whole=2000)
@pytest.mark.parametrize("table", ["gpt", "mbr"])
def test_whatever_is_planned_others_find_no_fault_with(tmp_path: Path, table: str, rounds: int) -> None:
    """Each partition is where it was planned, as wide as was asked for, and none lies on another (C1, C3, W8)."""
    chance, disk, judged = random.Random(table), tmp_path / "disk", 0
    while judged < rounds:
        size, wanted = wishes(chance, table)
        try:
            planned = plan(size, wanted, BOUNDS[table])
        except StageError:
            continue  # a fixed start lies in another
        judged += 1
        write(disk, table, planned)
        assert "No errors detected" in run("sfdisk", "--verify", disk)
        found = json.loads(run("sfdisk", "--json", disk))["partitiontable"]["partitions"]
        assert [(each["start"] * 512, each["size"] * 512) for each in found] == [
            (place.start, place.size) for place in planned.places
        ]
        for place, wish in zip(planned.places, wanted, strict=True):
            assert wish.start in {None, place.start}
            assert wish.size == place.size or (wish.size == "remaining" and place.size >= wish.minimum)
        if table == "gpt":
            assert "No problems found" in run("sgdisk", "--verify", disk)
            assert read(disk) == tuple((place.start, place.size, place.name) for place in planned.places)


def read(disk: Path) -> tuple[tuple[int, int, str], ...]:
    """Return the partitions of a disk by our own reader, which has no fault to tell either."""
    with disk.open("rb") as file:

        def part(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        found = gpt.decode(part, disk.stat().st_size)
    assert found is not None
    assert not found.problems
    return tuple((slot.start, slot.size, slot.name) for slot in found.slots)


@pytest.mark.parametrize("number", range(1, 5))
def test_a_fault_is_found(tmp_path: Path, number: int) -> None:
    """The judges above see a table that is spoilt: each by what it looks at."""
    disk = tmp_path / "disk"
    write(disk, "gpt", plan("auto", [Wanted(str(each), MIB, MIB, lambda _: True, MIB) for each in range(4)]))
    with disk.open("r+b") as file:
        file.seek(1024 + 128 * (number - 1) + 32)
        file.write(bytes([7]))
    said = subprocess.run(["sgdisk", "--verify", disk], capture_output=True, check=False, text=True).stdout
    assert "No problems found" not in said
    with disk.open("rb") as file:
        data = file.read()
    found = gpt.decode(lambda offset, length: data[offset : offset + length], len(data))
    assert found is not None
    assert found.problems == ("primary GPT: its entries' checksum is wrong",)
