"""ISO 9660 by xorriso: files under their own names, whatever else it would take from the host said here instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bootsmith.tasks.build.stage import Context

TOOLS: Final = ("xorriso",)


def write(
    ctx: Context, image: Path, files: Mapping[str, Path], *, label: str, uuid: str, epoch: int, boot: Sequence[str] = ()
) -> None:
    """Write a volume of files, all root's and of one time, in the order given: path in the volume -> file.

    `uuid` is a date, as Linux writes the UUID of such a volume; `boot` are words of what is to start it.
    """
    listed = "".join(f"{_escaped(path)}={_escaped(str(file))}\n" for path, file in files.items())
    (ctx.work / "files").write_text(listed)
    weights = [word for rank, path in enumerate(files) for word in ("--sort-weight", str(-rank), f"/{path}")]
    ctx.run(
        "xorriso", "-no_rc", "-report_about", "WARNING", "-as", "mkisofs",
        "-o", image, "-V", label, "-p", "BOOTSMITH", "-iso-level", "3", "-r",
        "--set_all_file_dates", f"={epoch}", f"--modification-date={uuid.replace('-', '')}",
        *boot, *weights, "-graft-points", "-path-list", ctx.work / "files",
    )  # fmt: skip


def _escaped(path: str) -> str:
    """Return a path as xorriso's lists have it: equals signs divide them."""
    return path.replace("\\", "\\\\").replace("=", "\\=")
