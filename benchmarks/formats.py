"""How quick each format is made of a raw disk, against qemu-img, or the program that packs, doing the same."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bootsmith.cache.files import sparse
from bootsmith.tasks.command.actions.file_conversion import convert
from bootsmith.tasks.recipe import options
from bootsmith.tasks.recipe.text.nodes import Raw

TIMES = 9
SLOW = 3
"""How often what packs is measured: it takes seconds."""


class Cost(NamedTuple):
    """What some work takes, its programs with it: seconds by the clock, and of the processor."""

    clock: float
    cpu: float


class Format(NamedTuple):
    """A row: the output's kind and keys; the words of another program that makes the like, DISK and IMAGE in them."""

    name: str
    kind: str
    keys: dict[str, Raw]
    other: str
    slow: bool = False
    summed: bool = False
    """Whether a map with SHA-256 is made too: the other program's disk is then read once more for that."""


_QEMU = "qemu-img convert -f raw -O"
FORMATS = (
    Format("qcow2", "qcow2", {"compress": "none", "preallocation": "off"}, f"{_QEMU} qcow2 DISK IMAGE"),
    Format(
        "qcow2, zstd", "qcow2", {"compress": "zstd"}, f"{_QEMU} qcow2 -c -o compression_type=zstd DISK IMAGE", slow=True
    ),
    Format("vhd", "vhd", {}, f"{_QEMU} vpc -o force_size=on DISK IMAGE"),
    Format("vhd, fixed", "vhd", {"subformat": "fixed"}, f"{_QEMU} vpc -o subformat=fixed,force_size=on DISK IMAGE"),
    Format("vhdx", "vhdx", {}, f"{_QEMU} vhdx DISK IMAGE"),
    Format("vhdx, fixed", "vhdx", {"subformat": "fixed"}, f"{_QEMU} vhdx -o subformat=fixed DISK IMAGE"),
    Format("vdi", "vdi", {}, f"{_QEMU} vdi DISK IMAGE"),
    Format("vdi, fixed", "vdi", {"subformat": "fixed"}, f"{_QEMU} vdi -o static=on DISK IMAGE"),
    Format("vmdk", "vmdk", {}, f"{_QEMU} vmdk DISK IMAGE"),
    Format(
        "vmdk, flat", "vmdk", {"subformat": "monolithicFlat"}, f"{_QEMU} vmdk -o subformat=monolithicFlat DISK IMAGE"
    ),
    Format(
        "vmdk, streamOptimized",
        "vmdk",
        {"subformat": "streamOptimized"},
        f"{_QEMU} vmdk -o subformat=streamOptimized DISK IMAGE",
        slow=True,
    ),
    Format("raw, zstd", "raw", {"compress": "zstd"}, "zstd -qc -T0 DISK -o IMAGE", slow=True, summed=True),
)


def ratios(disk: Path) -> Iterator[tuple[str, list[Cost]]]:
    """Yield each format's name, and what it takes against the other program: in turn, the first of a pair in turn too.

    Neither waits for the disk; both find the raw one in memory.
    """
    for each in FORMATS:
        found = []
        for number in range((SLOW if each.slow else TIMES) + 1):
            costs: dict[bool, Cost] = {}
            for ours in (True, False) if number % 2 else (False, True):
                with _scratch(disk) as scratch:
                    work = (
                        partial(_by_us, each, disk, scratch)
                        if ours
                        else partial(_by_another, each, disk, scratch / "other")
                    )
                    costs[ours] = _cost(work)
            found.append(Cost(*(one / other for one, other in zip(costs[True], costs[False], strict=True))))
        yield each.name, found[1:]  # before the first pair nothing was loaded


def _by_us(row: Format, disk: Path, folder: Path) -> None:
    convert(options.output(row.kind, {**row.keys, "file": "image"}, disk.stat().st_size), disk, folder, lambda _: None)


def _by_another(row: Format, disk: Path, image: Path) -> None:
    words = [{"DISK": str(disk), "IMAGE": str(image)}.get(word, word) for word in row.other.split()]
    subprocess.run(words, check=True, capture_output=True)
    if row.summed:
        _sum(disk)


def _sum(disk: Path) -> None:
    """Take the SHA-256 of all that a disk holds, as a block map has it."""
    total = hashlib.sha256()
    with disk.open("rb") as file:
        for start, end in sparse.extents(file.fileno()):
            for at in range(start, end, 1 << 20):
                total.update(os.pread(file.fileno(), min(1 << 20, end - at), at))


def _cost(work: Callable[[], None]) -> Cost:
    began, before = time.perf_counter(), _processor()
    work()
    return Cost(time.perf_counter() - began, _processor() - before)


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def _scratch(disk: Path) -> Iterator[Path]:
    """Yield a folder on the disk's file system, gone afterwards."""
    with TemporaryDirectory(prefix="bench-", dir=disk.parent) as folder:
        yield Path(folder)
