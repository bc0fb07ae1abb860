"""MBR partition tables, as sfdisk and as we read them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk import mbr

DISK = 64 << 20
SLOTS = (
    mbr.Slot(1 << 20, 8 << 20, 0x83, active=True),
    mbr.Slot(9 << 20, 512, 0x0C),
    mbr.Slot(10 << 20, 30 << 20, 0xEF),
    mbr.Slot(40 << 20, 24 << 20, 0x82),
)


def write(file: Path, disk: int, slots: tuple[mbr.Slot, ...] = SLOTS) -> Path:
    """Write a disk that holds a table alone."""
    with file.open("wb") as image:
        image.truncate(disk)
        image.write(mbr.encode(disk, "deadbeef", slots))
    return file


def test_sfdisk_reads_what_was_written_and_finds_no_fault(tmp_path: Path) -> None:
    """Signature, starts, sizes, types and the active flag arrive as they were given, up to the disk's last sector."""
    image = write(tmp_path / "disk", DISK)
    done = subprocess.run(["sfdisk", "--verify", image], capture_output=True, check=True, text=True)
    assert "No errors detected" in done.stdout
    assert not done.stderr
    table = json.loads(subprocess.run(["sfdisk", "--json", image], capture_output=True, check=True).stdout)
    table = table["partitiontable"]
    assert (table["label"], table["id"]) == ("dos", "0xdeadbeef")
    found = [
        (each["start"] * 512, each["size"] * 512, int(each["type"], 16), each.get("bootable", False))
        for each in table["partitions"]
    ]
    assert found == [(slot.start, slot.size, slot.type, slot.active) for slot in SLOTS]


def test_sfdisk_writes_the_same_bytes(tmp_path: Path) -> None:
    """Heads, sectors and cylinders included, also beyond what those can say."""
    for disk, start, size in ((DISK, 1 << 20, 8 << 20), (100 << 30, 1 << 20, 99 << 30), (1 << 41, 1 << 40, 1 << 30)):
        ours = write(tmp_path / "ours", disk, (mbr.Slot(start, size, 0x83, active=True),))
        theirs = tmp_path / "theirs"
        with theirs.open("wb") as image:
            image.truncate(disk)
        script = f"label: dos\nlabel-id: 0xdeadbeef\nstart={start // 512}, size={size // 512}, type=83, bootable\n"
        subprocess.run(["sfdisk", "-q", theirs], input=script, text=True, check=True)
        with ours.open("rb") as one, theirs.open("rb") as other:
            assert one.read(512) == other.read(512)


def test_a_table_is_read_back(tmp_path: Path) -> None:
    """By our own reader; a sector without the mark, or a filesystem's, has none."""
    data = write(tmp_path / "disk", DISK).read_bytes()[:512]
    found = mbr.decode(data, DISK)
    assert found == mbr.Table("deadbeef", dict(enumerate(SLOTS, 1)))
    assert mbr.decode(bytes(512), DISK) is None
    assert mbr.decode(data[:446] + b"text" * 16 + data[510:], DISK) is None
    assert mbr.decode(data[:100], DISK) is None


def test_damage_is_named(tmp_path: Path) -> None:
    """A partition beyond the disk, two active ones, and what is not read at all."""
    data = write(tmp_path / "disk", DISK).read_bytes()[:512]
    found = mbr.decode(data, 16 << 20)
    assert found is not None
    assert found.problems == tuple(f"partition {number} reaches beyond the disk" for number in (3, 4))
    slots = (mbr.Slot(1 << 20, 512, 0x83, active=True), mbr.Slot(2 << 20, 512, 0x05, active=True))
    found = mbr.decode(mbr.encode(DISK, "1", slots), DISK)
    assert found is not None
    assert found.problems == ("partition 2 is extended: what it holds is not read", "several partitions are active")


@pytest.mark.parametrize(
    "slots", [SLOTS * 2, (mbr.Slot(DISK - 512, 1024, 0x83),), (mbr.Slot(mbr.LIMIT - 512, 1024, 0x83),)]
)
def test_what_no_table_can_say_is_refused(slots: tuple[mbr.Slot, ...]) -> None:
    """A fifth partition, or one beyond the disk or 2 TiB."""
    with pytest.raises(ValueError, match=r"more than 4|beyond"):
        mbr.encode(max(DISK, 1 << 42 if slots[0].start > DISK else 0), "1", slots)
