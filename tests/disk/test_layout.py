"""Where partitions stand: tables of wishes and what becomes of them."""

from __future__ import annotations

import pytest
from bootsmith.tasks.disk.layout import BOUNDS, Layout, Size, Wanted, plan
from bootsmith.tasks.errors import StageError

MIB = 1 << 20
GIB = 1 << 30


def wanted(name: str, size: Size, content: int = 0, automatic: int = 64 * MIB, start: int | None = None) -> Wanted:
    """Return a partition to be placed, of so much content."""
    return Wanted(name, size, automatic, lambda given: given >= content, max(content, MIB), start)


def starts(layout: Layout) -> list[tuple[str, float, float]]:
    """Return where partitions stand, in MiB."""
    return [(place.name, place.start / MIB, place.size / MIB) for place in layout.places]


def test_an_automatic_disk_is_the_sum_of_its_partitions() -> None:
    """Everything is aligned to MiB, with room for a table at both ends."""
    found = plan("auto", [wanted("esp", 512 * MIB), wanted("root", "auto", automatic=704 * MIB)])
    assert starts(found) == [("esp", 1, 512), ("root", 513, 704)]
    assert found.size == 1218 * MIB


def test_odd_sizes_leave_the_next_partition_aligned() -> None:
    """A partition may be any number of sectors long; the next one begins at a whole MiB."""
    found = plan("auto", [wanted("a", 512 * 5), wanted("b", 3 * MIB)])
    assert starts(found) == [("a", 1, 512 * 5 / MIB), ("b", 2, 3)]


def test_remaining_takes_what_the_others_leave() -> None:
    """Also from the middle, and up to a fixed start (C3)."""
    disk = [wanted("a", 100 * MIB), wanted("rest", "remaining"), wanted("b", 50 * MIB)]
    found = plan(GIB, disk)
    assert starts(found) == [("a", 1, 100), ("rest", 101, 872), ("b", 973, 50)]
    disk[2] = wanted("b", 50 * MIB, start=500 * MIB)
    assert starts(plan(GIB, disk)) == [("a", 1, 100), ("rest", 101, 399), ("b", 500, 50)]


def test_a_small_partition_fits_before_the_first_mebibyte() -> None:
    """A BIOS-boot partition may stand right after the table."""
    found = plan("auto", [wanted("bios", 2014 * 512, start=34 * 512), wanted("root", 64 * MIB)])
    assert starts(found) == [("bios", 34 / 2048, 2014 / 2048), ("root", 1, 64)]


@pytest.mark.parametrize(("disk", "parts", "message"),
    [
        (40 * MIB, [wanted("root", 60 * MIB)], "disk.size: 40M is too small: the partitions need 62M"),
        (100 * MIB, [wanted("root", "remaining", 200 * MIB)], "disk.size: 100M is too small: the partitions need 202M"),
        (GIB, [wanted("a", "auto", automatic=2 * GIB)], "disk.size: 1G is too small: the partitions need 2050M"),
        ("auto", [wanted("root", 100 * MIB, 380 * MIB)],
         "disk.partitions.root.size: 100M is too small: its content needs 380M"),
        (GIB, [wanted("a", 20 * MIB, start=10 * MIB), wanted("b", 20 * MIB, start=20 * MIB)], "lies inside a"),
        ("auto", [wanted("a", 20 * MIB, start=33 * 512)], "from sector 34 on"),
        ("auto", [wanted("a", 20 * MIB + 1)], "whole sector"),
        ("auto", [wanted("a", 0)], "at least one long"),
        (GIB + 1, [wanted("a", MIB)], "whole number of 512-byte sectors"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_size_needed(disk: Size, parts: list[Wanted], message: str) -> None:
    """Nothing is written when the content is larger than the disk (W8)."""
    with pytest.raises(StageError, match=message.replace(".", r"\.")):
        plan(disk, parts)  # type: ignore[arg-type]


def test_an_mbr_disk_has_room_to_its_last_sector() -> None:
    """Nothing stands at its end; the first partition may begin anywhere after the first sector."""
    found = plan("auto", [wanted("root", 100 * MIB)], BOUNDS["mbr"])
    assert found.size == 101 * MIB
    found = plan(512 * MIB, [wanted("root", "remaining", start=63 * 512)], BOUNDS["mbr"])
    assert found.places[0].start == 63 * 512
    found = plan(512 * MIB, [wanted("root", "remaining", start=MIB)], BOUNDS["mbr"])
    assert (found.size, found.places[0].end) == (512 * MIB, 512 * MIB)


def test_an_mbr_disk_ends_at_two_tebibytes() -> None:
    """Its table counts sectors in 32 bits; what would lie beyond is refused."""
    assert plan("auto", [wanted("root", (2048 << 30) - MIB)], BOUNDS["mbr"]).size == 1 << 41
    with pytest.raises(StageError, match=r"this table reaches no further than 2048G") as caught:
        plan("auto", [wanted("root", 2048 << 30)], BOUNDS["mbr"])
    assert "disk.table: gpt" in caught.value.hint
