"""How quick each format is made of a raw disk, against qemu-img, or the program that packs, doing the same."""

from __future__ import annotations

import hashlib
import os
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

TIMES = 5
SLOW = 2
"""How often what packs is measured: it takes seconds."""


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


def ratios(disk: Path) -> Iterator[tuple[str, list[float]]]:
    """Yield each format's name, and how long it takes against the other program, measured in turn."""
    for each in FORMATS:
        found = []
        for _ in range(SLOW if each.slow else TIMES):
            with _scratch(disk) as scratch:
                other = _seconds(partial(_by_another, each, disk, scratch / "other"))
            with _scratch(disk) as scratch:
                found.append(_seconds(partial(_by_us, each, disk, scratch)) / other)
        yield each.name, found


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


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def _scratch(disk: Path) -> Iterator[Path]:
    """Yield a folder on the disk's file system, gone afterwards."""
    with TemporaryDirectory(prefix="bench-", dir=disk.parent) as folder:
        yield Path(folder)
