"""What gc did, and what was in its way, in words."""

from __future__ import annotations

from collections import Counter

from bootsmith.cache.display import count, human
from bootsmith.cache.keep.gc import Report

NOUNS = {
    "results": "result",
    "blobs": "file",
    "chunks": "chunk",
    "sha256": "download",
    "history": "past build",
    "verdicts": "boot verdict",
    "plans": "plan",
    "trees": "tree memo",
    "apt": "package list",
    "quarantine": "damaged file",
    "old": "outdated file",
}
NAMED = 5  # build directories in one sentence, at most


def things(counts: Counter[str]) -> str:
    """Return things counted by kind: 2 results, 3 files, 700 chunks."""
    return ", ".join(count(counts[kind], noun) for kind, noun in NOUNS.items() if counts[kind])


def told(report: Report, limit: int | None) -> list[str]:
    """Return what gc did by itself, for a run's user: what was removed, and why a store is still too large."""
    lines = [*[removal(report)] * bool(report.removed), *[trimming(report)] * bool(report.trimmed)]
    return [*lines, shortfall(report, limit)] if limit is not None and report.after > limit else lines


def removal(report: Report) -> str:
    """Return what was removed."""
    return f"removed {human(report.before - report.after)}: {things(report.removed)}"


def trimming(report: Report) -> str:
    """Return what left build directories."""
    return f"removed {human(report.freed)} from build directories long unused, which the cache gives back: " + count(
        report.trimmed, "file"
    )


def shortfall(report: Report, limit: int) -> str:
    """Return why a store is still larger than its limit."""
    needed = []
    if report.for_records:
        names = [str(build) for build in report.builds[:NAMED]]
        more = [f"{len(report.builds) - NAMED} more"] if len(report.builds) > NAMED else []
        builds = count(len(report.builds), "current build")
        needed.append(f"{human(report.for_records)} needed by {builds} ({', '.join([*names, *more])})")
    if report.for_leases:
        needed.append(f"{human(report.for_leases)} in use by running builds")
    why = f": {' and '.join(needed)}" if needed else ""
    return (
        f"{human(report.after)} are kept, more than the limit of {human(limit)}{why}. "
        "Raise BOOTSMITH_CACHE_SIZE, or remove build directories that are no longer needed."
    )
