"""SYSLINUX's second half: `ldlinux.sys` on the FAT partition that a BIOS goes on with, put there by its installer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsmith.tasks.disk import fat, filesystems
from bootsmith.tasks.disk.filesystems import FilesystemParams
from bootsmith.tasks.tools.environment import PATH

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.build.stage import Context

INSTALLER = ("syslinux", "mtools", "sh")
"""What `install` runs: the installer runs mtools, by a shell."""
_MTOOLS = ("mattrib", "mcopy", "mmove")


def install(ctx: Context, image: Path, where: str) -> None:
    """Put `ldlinux.sys` on a FAT filesystem, and the code that loads it into its first sector.

    The installer has mtools read the image as /proc/PID/fd/N, which in a process namespace of its own is not what it
    means; so mtools are put in its way that are told the image's name. All names are plain ones: a folder's may hold
    anything.
    """
    desk = ctx.work / "syslinux"
    desk.mkdir()
    (desk / "image").symlink_to(image)
    (desk / "settings").write_text(f'{fat.SETTINGS}drive s:\n  file="image"\n')
    for name in _MTOOLS:
        program = desk / name
        program.write_text(f'#!{ctx.tool("sh")}\nMTOOLSRC=settings exec {ctx.tool("mtools")} -c {name} "$@"\n')
        program.chmod(0o755)
    place = ["--directory", f"/{where}"] if where else []
    ctx.run("syslinux", "--install", *place, "image", cwd=desk, env={"PATH": f".:{PATH}"})


@dataclass(frozen=True)
class LdlinuxParams(FilesystemParams):
    """The filesystem, and the folder in it that `ldlinux.sys` goes to."""

    folder: str


def run(ctx: Context) -> None:
    """Fill the partition, then make it one that SYSLINUX starts from."""
    params = LdlinuxParams.of(ctx)
    filesystems.make_fat(ctx, params)
    install(ctx, ctx.outputs["image"], params.folder)
