"""What outputs must be, of themselves, beside each other and for the disk that they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal

from bootsmith.tasks.recipe.checks.disk import in_order
from bootsmith.tasks.recipe.model import disk as model
from bootsmith.tasks.recipe.model.outputs import Azure, Disk, DiskFile, Gcp, OutputSpec, Qcow2
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath
from bootsmith.tasks.recipe.values.units import show_size

STAGES = (
    *("rootfs", "layers", "initramfs", "kernel", "partition", "populate", "encrypt", "bootloader", "assemble"),
    *(
        "readback",
        "convert",
        "files",
        "built",
        "scratch",
        "entries",
        "recipes",
        "iso",
        "test",
        "log",
        "at",
        "disk.raw",
        "run.qcow2",
        "run.json",
        "debug.log",
    ),
)
"""What bootsmith itself keeps in a build directory."""
MIB, GIB = 1 << 20, 1 << 30
_LARGEST = {
    "vhd": 2040 * GIB,
    "azure": 2040 * GIB,
    "vhdx": 65536 * GIB,
    **dict.fromkeys(("vmdk", "aws", "ova", "ovf"), 2048 * GIB),
}
"""Bytes of the largest disk that a format holds."""


def _files(recipe: Recipe) -> Iterable[Finding]:
    seen: set[str] = set()
    for number, output in enumerate(recipe.outputs):
        path: KeyPath = ("outputs", number, output.kind)
        for file in output.files:
            if file in seen:
                beside = "" if file == output.file else f", as this one writes it beside {output.file}"
                yield (*path, "file"), f"two outputs are called {file}{beside}; give one another file:"
            if file in STAGES:
                yield (*path, "file"), f"bootsmith keeps {file} there itself; take another name"
        seen.update(output.files)


def _each(recipe: Recipe) -> Iterable[Finding]:
    for number, output in enumerate(recipe.outputs):
        size = recipe.disk.size if recipe.disk.partitions else 0
        own = output.size if isinstance(output, (Disk, DiskFile)) else None
        path: KeyPath = ("outputs", number, output.kind)
        if own and size != "auto" and own < size:
            yield (
                (*path, "size"),
                f"{_shown(own)} is less than the disk has, {_shown(size)}; write more, or leave it out",
            )
        over = _behind(recipe.disk) if own and (own != size or recipe.disk.table == "mbr") else ""
        if over:
            what = f"the last partition of the table grows to the disk's end, over {over}, which stands behind it"
            yield (*path, "size"), f"{what}; put {over} before it, or leave this out"
        yield from findings(output, own or size, path)


def _behind(disk: model.Disk) -> str:
    """Return what stands on a disk behind the last partition of its table, nothing where nothing does."""
    name = in_order(disk)[-1][2] if disk.partitions else ""
    return name if name and not disk.partitions[name].in_table else ""


def findings(output: OutputSpec, size: int | Literal["auto"], path: KeyPath) -> Iterable[Finding]:
    """Find what is wrong with an output of a disk of that size."""
    if isinstance(output, Qcow2):
        for key, what in _qcow2(output):
            yield (*path, key), what
    if isinstance(output, Gcp) and (size == "auto" or size % GIB):
        that = "" if size == "auto" else f", and {_shown(size)} is none"
        yield path, f"Google's cloud takes disks of whole GiB{that}; make it one, such as 4G, by disk.size"
    if why := unfit(output.kind, output.file):
        yield (*path, "file"), why
    if size == "auto":
        return
    if isinstance(output, Azure) and size % MIB:
        yield path, f"Azure takes disks of whole MiB, and {_shown(size)} is none; make it one by disk.size"
    if size > _LARGEST.get(output.kind, size):
        most = _shown(_LARGEST[output.kind])
        yield path, f"{output.kind} holds disks of up to {most}, not {_shown(size)}; take another format"


def unfit(kind: str, file: str) -> str:
    """Return why a format that names its own files cannot be in one called so, nothing where it can."""
    if kind == "ovf" and not re.fullmatch(r"[A-Za-z0-9._~-]+", file):
        return "an OVF names its disk by a URI, which could not hold that; use letters, digits and . - _ ~ alone"
    if kind in ("vmdk", "aws") and '"' in file:
        return "a VMDK names its disk in quotes, which could not hold that; leave them out"
    return ""


def _shown(size: int) -> str:
    return show_size(size) if size % 512 == 0 else f"{size} bytes"


def _qcow2(output: Qcow2) -> Iterable[tuple[str, str]]:
    """Find what qemu-img refuses, or would not do as asked."""
    if output.compress != "none" and output.preallocation != "off":
        yield "preallocation", f"clusters packed by {output.compress} cannot be laid out beforehand; add compress: none"
    elif output.preallocation != "off" and (output.backing or output.snapshot):
        why = "hide the backing file" if output.backing else "belong to the snapshot, and writes go to others"
        yield "preallocation", f"clusters laid out beforehand would {why}; write 'off'"
    if output.encrypt and output.compress != "none":
        yield "compress", f"qemu-img cannot pack clusters by {output.compress} and encrypt them; write none"
    if output.encrypt and output.backing:
        yield "encrypt", "what is in the backing file would stay in clear; leave out one of the two"
    if output.backing_format and not output.backing:
        yield "backing_format", "there is no backing file; write backing, or leave this out"
    if output.cluster & (output.cluster - 1) or output.cluster > 2 << 20:
        yield (
            "cluster",
            f"{show_size(output.cluster)} cannot be a cluster; write a power of two from 1s (512 bytes) to 2M",
        )
    if output.compat == "0.10" and output.lazy_refcounts:
        yield "lazy_refcounts", "compat 0.10 has no lazy reference counts; write false, or compat: 1.1"
    if output.compat == "0.10" and output.compress == "zstd":
        yield "compress", "compat 0.10 knows no zstd; write zlib, or compat: 1.1"


RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("outputs",),), _files),
    ((("outputs",), ("disk",)), _each),
)
