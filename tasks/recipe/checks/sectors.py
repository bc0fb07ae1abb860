"""What a disk with sectors of 4096 bytes cannot be: started by a BIOS, or held by what counts 512."""

from __future__ import annotations

from collections.abc import Iterable

from bootsmith.tasks.recipe.loaders.boot_places import BOOT_SECTOR
from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model.disk import Disk
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath

USUAL = 512
SAYING = ("raw", "qcow2")
"""Outputs that say nothing of sectors: whoever starts them gives a disk that has them."""
_OTHERS = ("vhd", "azure", "vhdx", "vdi", "vmdk", "aws", "gcp", "ova", "ovf", "box")
DRIVES = ("virtio", "nvme", "scsi")
"""What QEMU gives such sectors."""


def check(recipe: Recipe) -> Iterable[Finding]:
    """Find what goes with sectors of 512 bytes alone."""
    if recipe.disk.sector == USUAL:
        return
    yield from _places(recipe.disk)
    for number, name in enumerate(recipe.boot.loader):
        if BOOT_SECTOR in KINDS[name].boot_places:
            what = f"a BIOS reads no disk with sectors of {recipe.disk.sector} bytes"
            yield ("boot", "loader", number), f"{what}; write a loader for UEFI, or disk.sector: {USUAL}"
    for number, output in enumerate(recipe.outputs):
        if output.kind in _OTHERS:
            what = f"{output.kind} is of disks with sectors of {USUAL} bytes"
            yield ("outputs", number, output.kind), f"{what}; write {' or '.join(SAYING)}"
    if recipe.machine.drive not in DRIVES:
        what = f"{recipe.machine.drive} has sectors of {USUAL} bytes alone"
        yield ("machine", "drive"), f"{what}; write {', '.join(DRIVES[:-1])} or {DRIVES[-1]}"


def _places(disk: Disk) -> Iterable[Finding]:
    """Find what such sectors do not make up, and a table that is not theirs."""
    if disk.table == "mbr":
        yield (
            ("disk", "table"),
            f"an MBR is for disks with sectors of {USUAL} bytes; write gpt, or leave disk.sector out",
        )
    said: list[tuple[KeyPath, object]] = [(("disk", "size"), disk.size)]
    for name, part in disk.partitions.items():
        said += [(("disk", "partitions", name, "start"), part.start), (("disk", "partitions", name, "size"), part.size)]
    for path, value in said:
        if isinstance(value, int) and value % disk.sector:
            yield path, f"it is no whole number of sectors of {disk.sector} bytes; write one in K or M"
