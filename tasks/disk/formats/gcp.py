"""What Google's cloud imports: a file called disk.raw in a tar in GNU's old form, packed by gzip."""

from __future__ import annotations

from typing import Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import archive, image
from bootsmith.tasks.errors import StageError

GIB: Final = 1 << 30


def run(ctx: Context) -> None:
    """Make a stage's archive."""
    disk, packed = ctx.inputs["disk"], ctx.work / "disk.tar"
    size = disk.stat().st_size
    if size % GIB:
        raise StageError(
            f"Google's cloud takes disks of whole GiB; the disk has {size} bytes", "Make disk.size whole G."
        )
    archive.write_disk(disk, packed, "disk.raw", image.ImageParams.of(ctx).epoch, image.reporting(disk, ctx.say))
    ctx.say(f"compressing {packed.stat().st_size} bytes")
    ctx.run("gzip", "-nc", input=packed, stdout=ctx.outputs["image"])
