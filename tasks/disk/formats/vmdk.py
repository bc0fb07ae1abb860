"""VMDK, VMware's format (Virtual Disk Format 1.1): monolithicSparse, monolithicFlat, and streamOptimized's own text."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from bootsmith.cache.files import sparse
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import blocks, geometry, image
from bootsmith.tasks.disk.formats.blocks import RawDisk
from bootsmith.tasks.disk.formats.origin import Origin
from bootsmith.tasks.errors import StageError

SECTOR: Final = image.SECTOR
GRAIN: Final = 128
"""Sectors that are there or not as one."""
ENTRIES: Final = 512
"""Grains of which one table tells."""
LARGEST: Final = 2 << 40
"""Bytes that a sparse one's tables reach: they count sectors in 32 bits."""
TEXT_AT, TEXT_SECTORS = 1, 20
STREAM: Final = ("convert", "-p", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic")
"""What qemu-img is told, the disk and the image to follow. Never with -W: the order of grains would be chance."""

_HEADER: Final = struct.Struct("<4sIIQQQQIQQQB4sH433x")
_TABLE_SECTORS: Final = ENTRIES * 4 // SECTOR
_HAS_SECOND_TABLES: Final = 1 << 1
_LINES_ARE_WHOLE: Final = 1 << 0


def run(ctx: Context) -> None:
    """Make a stage's VMDK, and where it is flat the disk beside it, whose name the text has."""
    params = image.ImageParams.of(ctx)
    if params.subformat == "streamOptimized":
        run_stream(ctx, ctx.outputs["image"], image.origin(ctx.inputs["disk"], params))
    elif params.subformat == "monolithicFlat":
        write_flat(ctx.inputs["disk"], ctx.outputs["image"], ctx.outputs["extent"], params, ctx.say)
    else:
        image.make(ctx, sparse_format(ctx.outputs["image"].name))


def run_stream(ctx: Context, target: Path, origin: Origin) -> None:
    """Have qemu-img pack a stage's disk as "streamOptimized", and say in it what does not change from day to day."""
    disk = ctx.inputs["disk"]
    size = blocks.length(disk)
    sparse_format(target.name).check(size)
    ctx.say(f"packing by deflate: 0% of {size} bytes")
    ctx.run("qemu-img", *STREAM, disk, target)
    put_descriptor(target, size, origin)


def sparse_format(name: str) -> image.Format:
    """Return the form "monolithicSparse", of a file of that name."""
    return image.Format("VMDK", "at most 2 TiB", LARGEST, partial(_write, name), instead="vhdx")


def _write(name: str, disk: RawDisk, made: int, subformat: str, origin: Origin) -> None:
    """Write a disk as "monolithicSparse": header, text, two directories each with its tables, grains."""
    assert subformat == "monolithicSparse", "the others are made elsewhere"
    count = -(-disk.size // SECTOR // (GRAIN * ENTRIES))
    directory_sectors = -(-4 * count // SECTOR)
    copies = [TEXT_AT + TEXT_SECTORS]
    copies.append(copies[0] + directory_sectors + count * _TABLE_SECTORS)
    first = -(-(copies[1] + directory_sectors + count * _TABLE_SECTORS) // GRAIN) * GRAIN
    tables, end = array("I", bytes(4 * count * ENTRIES)), first
    for number, at in disk.append(made, GRAIN * SECTOR, first * SECTOR):
        end = at // SECTOR + GRAIN
        if end > 1 << 32:
            raise StageError("the disk holds more than a sparse VMDK's tables can name", "Take vhdx or qcow2.")
        tables[number] = at // SECTOR
    os.truncate(made, end * SECTOR)
    written = struct.pack(f"<{len(tables)}I", *tables)
    for at in copies:
        tables_at = at + directory_sectors
        directory = struct.pack(f"<{count}I", *(tables_at + each * _TABLE_SECTORS for each in range(count)))
        sparse.write(made, directory, at * SECTOR)
        sparse.write(made, written, tables_at * SECTOR)
    text = descriptor(disk.size // SECTOR, subformat, f'SPARSE "{name}"', origin)
    header = _HEADER.pack(
        b"KDMV", 1, _LINES_ARE_WHOLE | _HAS_SECOND_TABLES, disk.size // SECTOR, GRAIN, TEXT_AT, TEXT_SECTORS, ENTRIES,
        *copies, first, 0, b"\n \r\n", 0,
    )  # fmt: skip
    sparse.write(made, header + text.encode(), 0)


def write_flat(disk: Path, target: Path, extent: Path, params: image.ImageParams, say: Callable[[str], None]) -> None:
    """Write a disk as "monolithicFlat": the text, and the disk itself beside it. Raises StageError."""

    def text(source: RawDisk, made: int, subformat: str, origin: Origin) -> None:
        os.truncate(made, source.size)
        source.copy(made, 0)
        target.write_text(descriptor(source.size // SECTOR, subformat, f'FLAT "{extent.name}" 0', origin))

    form = image.Format("VMDK", "at most 2 TiB", LARGEST, text, instead="vhdx")
    image.write(form, disk, extent, params, image.reporting(disk, say))


def put_descriptor(image: Path, size: int, origin: Origin) -> None:
    """Replace the text that qemu-img wrote into a "streamOptimized" one, with its random CID. Raises StageError."""
    text = descriptor(size // SECTOR, "streamOptimized", f'SPARSE "{image.name}"', origin, "lsilogic").encode()
    with image.open("r+b") as made:
        _, _, _, _, _, at, room, *_ = _HEADER.unpack(made.read(SECTOR))
        if at != TEXT_AT or room * SECTOR < len(text):
            raise StageError("qemu-img laid out a VMDK in a way that is not known here", "Report it, with its version.")
        sparse.write(made.fileno(), text.ljust(room * SECTOR, b"\0"), at * SECTOR)


def descriptor(sectors: int, kind: str, extent: str, origin: Origin, adapter: str = "ide") -> str:
    """Return the text that says what a VMDK is."""
    shape = geometry.of_ata(sectors)
    content = int.from_bytes(origin.digest("vmdk")[:4], "big") % 0xFFFF_FFFE  # the two highest mean that there is none
    return f"""# Disk DescriptorFile
version=1
CID={content:08x}
parentCID=ffffffff
createType="{kind}"

# Extent description
RW {sectors} {extent}

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "{shape.cylinders}"
ddb.geometry.heads = "{shape.heads}"
ddb.geometry.sectors = "{shape.sectors}"
ddb.adapterType = "{adapter}"
ddb.uuid.image = "{origin.uuid("vmdk")}"
ddb.uuid.modification = "{origin.uuid("vmdk", "state")}"
ddb.uuid.parent = "00000000-0000-0000-0000-000000000000"
ddb.uuid.parentmodification = "00000000-0000-0000-0000-000000000000"
"""
