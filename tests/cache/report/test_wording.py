"""cache/report/wording.py: numbers as people say them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bootsmith.cache.keep.gc import Report
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.report.wording import removal, shortfall

GIB = 1 << 30


def test_what_was_removed() -> None:
    """By kind, in the same order always."""
    report = Report(Limits(), 3 * GIB, 2 * GIB, Counter({"chunks": 1000, "results": 2, "sha256": 1}))
    assert removal(report) == "removed 1.0 GiB: 2 results, 1,000 chunks, 1 download"


def test_why_a_limit_is_not_reached() -> None:
    """Who needs what is kept, and what can be done."""
    builds = tuple(Path(f"/b{number}") for number in range(7))
    report = Report(Limits(GIB), 4 * GIB, 4 * GIB, builds=builds, for_records=2 * GIB, for_leases=GIB)
    assert shortfall(report, GIB) == (
        "4.0 GiB are kept, more than the limit of 1.0 GiB: 2.0 GiB needed by 7 current builds "
        "(/b0, /b1, /b2, /b3, /b4, 2 more) and 1.0 GiB in use by running builds. "
        "Raise BOOTSMITH_CACHE_SIZE, or remove build directories that are no longer needed."
    )
    assert "limit of 1.0 GiB. Raise" in shortfall(Report(Limits(GIB), after=2 * GIB), GIB)
