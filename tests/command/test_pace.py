"""How a conversion gets on, as it is shown: how much, how fast, how long still; and a word on slow packing."""

from __future__ import annotations

import pytest
from bootsmith.tasks.command.pace import Pace

GIB = 1 << 30


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_follow_from_what_is_done() -> None:
    """Of our own writers, which tell bytes, from the first second on (L23)."""
    clock = Clock()
    pace = Pace(clock)
    assert pace.said(f"0% of {4 * GIB} bytes") == "0% of 4.0 GiB"
    clock.now += 0.5
    assert pace.said(f"3% of {4 * GIB} bytes") == "3% of 4.0 GiB"
    clock.now += 9.5
    assert pace.said(f"25% of {4 * GIB} bytes") == "25% of 4.0 GiB, 102 MiB/s, 30 s left"
    clock.now += 30
    assert pace.said(f"100% of {4 * GIB} bytes") == "100% of 4.0 GiB"


def test_qemu_imgs_own_progress_is_understood() -> None:
    """It prints a share alone; the size, and how it packs, were said before."""
    clock = Clock()
    pace = Pace(clock)
    pace.said(f"packing by zstd: 0% of {GIB} bytes")
    clock.now += 10
    assert pace.said("    (50.00/100%)") == "packing by zstd: 50% of 1.0 GiB, 51.2 MiB/s, 10 s left"


def test_other_words_stay_what_they_are() -> None:
    """But for numbers of bytes, which nobody reads."""
    assert Pace().said("unpacking base-files") == "unpacking base-files"
    assert Pace().said(f"mapping {3 * GIB} bytes") == "mapping 3.0 GiB"


@pytest.mark.parametrize(
    ("said", "spent", "whole", "hint"),
    [
        ("packing by zlib: 0% of 9 bytes", 60, 61, "`compress: zstd` is quicker, and `none` more so"),
        ("packing 99 bytes by xz", 60, 61, "`compress: zstd` is quicker, if not as small"),
        ("packing by deflate: 0% of 9 bytes", 40, 41, "a VMDK that is not streamOptimized is quicker"),
        ("packing by zlib: 0% of 9 bytes", 20, 21, ""),
        ("packing by zlib: 0% of 9 bytes", 40, 200, ""),
        ("0% of 9 bytes", 60, 61, ""),
    ],
)
def test_packing_that_dominates_is_told(said: str, spent: float, whole: float, hint: str) -> None:
    """Where it took more than half a minute and most of the stage: what is quicker (L23)."""
    clock = Clock()
    pace = Pace(clock)
    pace.said(said)
    clock.now += spent
    found = pace.hint("convert/x", whole)
    assert found.endswith(hint)
    assert bool(found) == bool(hint)
