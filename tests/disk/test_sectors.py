"""A disk with sectors of 4096 bytes: its table and its FAT count them, and whoever reads or changes it knows. C1."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from bootsmith.tasks.disk import bootable, gpt, growing, inspect, shrinking, unused
from bootsmith.tasks.disk.patch import Patch
from bootsmith.tasks.errors import StageError

from tests.support.whole_disk import RECIPE, WholeDisk

MIB = 1 << 20
LARGE = RECIPE.replace("disk: {", "disk: {sector: 4096, ").replace(
    "PARTITIONS", "esp: {size: 260M, mount: /boot/efi}, "
)


@pytest.fixture(name="large", scope="module")
def fixture_large(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    return WholeDisk.make(tmp_path_factory.mktemp("large"), "systemd-boot", LARGE)


def test_a_disk_is_read_back_by_its_own_sectors(large: WholeDisk) -> None:
    """Both tables stand where such a disk has them, FAT's sectors are as large, and every check passes."""
    found = inspect.inspect(large.raw)
    assert (found.sector, found.table, found.problems) == (4096, "gpt", ())
    assert "sectors of 4096 bytes" in inspect.to_text(found)
    assert bootable.sector(large.raw, "raw") == 4096
    with large.raw.open("rb") as file:
        first = file.read(8192)
        file.seek(-4096, 2)
        backup = file.read(16)
        file.seek(large.start("esp") + 11)
        (width,) = struct.unpack("<H", file.read(2))
    assert first[510:512] == b"\x55\xaa"
    assert struct.unpack_from("<I", first, 446 + 12) == (found.disk // 4096 - 1,)
    assert first[4096:4104] == backup[:8] == b"EFI PART"
    assert struct.unpack_from("<Q", first, 4096 + 40) == (6,), "the first sector that partitions may use"
    assert width == 4096
    assert found.parts[0].start == MIB
    assert not [each for each in large.verdicts().values() if each.wrong]


def test_a_disk_of_other_sectors_than_the_recipe_s_is_told(large: WholeDisk, tmp_path: Path) -> None:
    """A table that counts 512 is another one, whatever it says."""
    slots = [gpt.Slot(part.start, part.size, "0fc63daf-8483-4772-8e79-3d69d8477de4", part.guid) for part in
             inspect.inspect(large.raw).parts]  # fmt: skip
    disk = large.copy(tmp_path)
    start, end = gpt.encode(disk.raw.stat().st_size, large.recipe.disk.id, slots)
    disk.write(0, start.ljust(6 * 4096, b"\0"))
    disk.write(-6 * 4096, end.rjust(6 * 4096, b"\0"))
    assert "it counts sectors of 512 bytes, the recipe's has 4096" in disk.verdicts()["table"].wrong


def test_it_grows_and_shrinks_by_them(large: WholeDisk) -> None:
    """The backup goes to the new end, the last partition up to it; a size of no whole sectors is refused."""
    data = bytearray(large.raw.read_bytes())
    size = len(data)

    def read(offset: int, length: int) -> bytes:
        return bytes(data[offset : offset + length]) if offset >= 0 else b""

    whole = growing.fit(read, size, size + 64 * MIB, grow=True)
    assert whole.sector == 4096
    assert whole.grown is not None
    _, start, before, after = whole.grown
    apply(data, whole.patches, size + 64 * MIB)
    table = gpt.decode(read, len(data))
    assert table is not None
    assert (table.sector, table.problems, table.slots[-1].size) == (4096, (), after)
    assert before < after <= len(data) - start - 5 * 4096
    smaller = shrinking.fit(read, len(data), size)
    assert smaller.cut is not None
    assert smaller.cut.start + smaller.cut.new <= size - 5 * 4096
    assert "no whole number of its sectors, of 4096" in growing.fit(read, len(data), len(data) + 512, grow=True).why_not
    with pytest.raises(StageError, match="no whole number of its sectors, of 4096"):
        shrinking.fit(read, len(data), size + 512)


def test_what_nobody_uses_is_reckoned_by_them(large: WholeDisk) -> None:
    """The tables at both ends are no unused room; what is between them and the partitions is."""
    data = large.raw.read_bytes()
    found = unused.stretches(lambda at, length: data[at : at + length] if at >= 0 else b"", len(data), lambda _: [])
    assert found[0] == (6 * 4096, MIB)
    assert found[-1][1] == len(data) - 5 * 4096


def apply(data: bytearray, patches: tuple[Patch, ...], size: int) -> None:
    data.extend(bytes(size - len(data)))
    for each in patches:
        data[each.at : each.at + len(each.data)] = each.data
