"""Partition tables, as sfdisk and as we read them."""

from __future__ import annotations

import json
import struct
import subprocess
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.tasks.disk import gpt, growing, shrinking
from bootsmith.tasks.errors import StageError

DISK = 64 << 20
GUID = "01234567-89ab-cdef-0123-456789abcdef"
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SLOTS = (
    gpt.Slot(34 * 512, 2014 * 512, "21686148-6449-6e6f-744e-656564454649", str(uuid.UUID(int=1)), "bios", 1 << 2),
    gpt.Slot(1 << 20, 8 << 20, LINUX, str(uuid.UUID(int=2)), 'naïve "name" 日本', 1 << 63 | 1 << 60),
    gpt.Slot(9 << 20, 512, LINUX, str(uuid.UUID(int=3)), "", 0),
)


def write(file: Path, disk: int, slots: tuple[gpt.Slot, ...] = SLOTS) -> Path:
    """Write a disk that holds a table alone."""
    start, end = gpt.encode(disk, GUID, slots)
    with file.open("wb") as image:
        image.truncate(disk)
        image.write(start)
        image.seek(disk - len(end))
        image.write(end)
    return file


def read(file: Path) -> gpt.Table | None:
    """Return the table of a disk."""
    data = file.read_bytes()
    return gpt.decode(lambda offset, length: data[offset : offset + length], len(data))


SLOT = gpt._encode_slot(gpt.Slot(4 << 20, 512, LINUX, GUID, "x"))


def foreign_table(entries: list[bytes]) -> bytes:
    """Return a disk whose table has as many entries as another program gave it, at both ends."""
    array = b"".join(entries)
    last, sectors = DISK // 512 - 1, -(-len(array) // 512)

    def header(own: int, other: int, at: int) -> bytes:
        usable = 2 + sectors, last - sectors - 1
        fields = (own, other, *usable, uuid.UUID(GUID).bytes_le, at, len(entries), 128, zlib.crc32(array))
        blank = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, *fields)
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, zlib.crc32(blank), 0, *fields)

    disk = bytearray(DISK)
    at = last - sectors
    for place, data in ((512, header(1, last, 2)), (1024, array), (last * 512, header(last, 1, at)), (at * 512, array)):
        disk[place : place + len(data)] = data
    return bytes(disk)


def reader(disk: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: disk[offset : offset + length]


def test_partitions_without_end_are_not_read() -> None:
    """A table of thousands of partitions, each of which would be looked into, is read as far as tables go."""
    found = gpt.decode(reader(foreign_table([SLOT] * 4000)), DISK)
    assert found is not None
    assert len(found.slots) == 128
    assert "there are 4000 partitions, of which the first 128 are read" in found.problems


def test_a_partition_beyond_the_places_that_we_write_is_told() -> None:
    """It is read; and a table that cannot be written again as it is, is not one to change: no traceback."""
    disk = foreign_table([bytes(128)] * 199 + [SLOT] + [bytes(128)] * 56)
    found = gpt.decode(reader(disk), DISK)
    assert found is not None
    assert [slot.number for slot in found.slots] == [200]
    told = "partition 200 stands beyond the 128 places that tables have"
    assert found.problems == (told,)
    fitted = growing.fit(reader(disk), DISK, 2 * DISK, grow=True)
    assert (fitted.patches, fitted.why_not) == ((), f"its table is damaged: {told}")
    with pytest.raises(StageError, match=f"not one to change: {told}"):
        shrinking.fit(reader(disk), DISK, DISK // 2)
    last = foreign_table([bytes(128)] * 127 + [SLOT] + [bytes(128)] * 128)
    assert growing.fit(reader(last), DISK, 2 * DISK, grow=True).grown is not None


def test_sfdisk_finds_no_fault_with_a_table(tmp_path: Path) -> None:
    """Primary, backup and protective MBR are what the field's own tool expects."""
    image = write(tmp_path / "disk", DISK)
    done = subprocess.run(["sfdisk", "--verify", image], capture_output=True, check=True, text=True)
    assert "No errors detected" in done.stdout
    assert not done.stderr


def test_sfdisk_reads_what_was_written(tmp_path: Path) -> None:
    """Starts, sizes, types, GUIDs, names and attributes arrive as they were given."""
    image = write(tmp_path / "disk", DISK)
    table = json.loads(subprocess.run(["sfdisk", "--json", image], capture_output=True, check=True).stdout)
    table = table["partitiontable"]
    assert (table["id"].lower(), table["label"], table["firstlba"]) == (GUID, "gpt", 34)
    assert table["lastlba"] == DISK // 512 - 34
    found = [(each["start"] * 512, each["size"] * 512, each["type"].lower(), each["uuid"].lower(), each.get("attrs"))
             for each in table["partitions"]]  # fmt: skip
    attributes = ["LegacyBIOSBootable", "GUID:60,63", None]
    assert found == [
        (slot.start, slot.size, slot.type, slot.guid, words) for slot, words in zip(SLOTS, attributes, strict=True)
    ]


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Reading inverts writing, odd names included."""
    assert read(write(tmp_path / "disk", DISK)) == gpt.Table(GUID, SLOTS)


def test_a_table_of_sfdisk_is_read_too(tmp_path: Path) -> None:
    """What another tool wrote is understood."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(DISK)
    script = f"label: gpt\nlabel-id: {GUID}\n\nstart=4096, size=2048, type={LINUX}, uuid={uuid.UUID(int=7)}, name=x\n"
    subprocess.run(["sfdisk", "-q", image], input=script.encode(), capture_output=True, check=True)
    assert read(image) == gpt.Table(GUID, (gpt.Slot(2 << 20, 1 << 20, LINUX, str(uuid.UUID(int=7)), "x"),))


@pytest.mark.parametrize(
    ("offset", "what"), [(512 + 60, "header's checksum"), (1024 + 60, "entries' checksum"), (512, "no header")]
)
def test_damage_to_the_primary_is_named_and_the_backup_used(tmp_path: Path, offset: int, what: str) -> None:
    """One flipped byte does not hide the partitions, and does not go unnoticed."""
    image = write(tmp_path / "disk", DISK)
    data = bytearray(image.read_bytes())
    data[offset] ^= 1
    image.write_bytes(data)
    found = read(image)
    assert found is not None
    assert found.slots == SLOTS
    assert found.problems[0].startswith("primary GPT: ")
    assert what in found.problems[0]


def test_a_disk_without_a_table_has_none(tmp_path: Path) -> None:
    """Zeros, and files too short for a table, are no table."""
    for size in (DISK, 1 << 20, 512, 0):
        image = tmp_path / f"disk{size}"
        image.write_bytes(bytes(size))
        assert read(image) is None


def test_a_table_cut_off_with_its_disk_is_named(tmp_path: Path) -> None:
    """A truncated image still shows its partitions, with what is wrong."""
    image = write(tmp_path / "disk", DISK)
    with image.open("r+b") as file:
        file.truncate(DISK // 2)
    found = read(image)
    assert found is not None
    assert found.slots == SLOTS
    assert "backup GPT: no header" in found.problems[0]
    assert "larger disk" in found.problems[1]


def test_what_a_table_cannot_hold_is_refused() -> None:
    """A name of more than 36 UTF-16 units, or a 129th partition."""
    with pytest.raises(ValueError, match="longer than 36"):
        gpt.encode(DISK, GUID, [gpt.Slot(1 << 20, 512, LINUX, GUID, "x" * 37)])
    with pytest.raises(ValueError, match="more than 128"):
        gpt.encode(DISK, GUID, [SLOTS[2]] * 129)
