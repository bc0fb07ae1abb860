"""Which program checks a filesystem, how it is called, and what it says of a damaged one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.inspection.verdicts import Complaint

if TYPE_CHECKING:
    from bootsmith.tasks.tools.process import Completed

_PROGRESS = ("Pass ", "fsck.fat", "/dev/fd", "/image")
"""How lines begin that say nothing of damage."""


def program(kind: str) -> tuple[str, tuple[str, ...]]:
    """Return the program that checks a kind of filesystem, and its options; "" for what has none."""
    if kind.startswith("ext"):
        return "e2fsck", ("-f", "-n")
    if kind == "btrfs":
        return "btrfs", ("check", "--readonly")
    return ("fsck.vfat", ("-n",)) if kind.startswith("FAT") else ("", ())


def complaint(name: str, done: Completed) -> Complaint | None:
    """Return what a program said; None where all is well."""
    if not done.status:
        return None
    lines = [line.strip() for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_PROGRESS)]
    return Complaint(name, "; ".join(told[:3]))
