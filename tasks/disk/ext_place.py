"""What a stage calls the place of an ext filesystem for its programs: in a path, `?` would begin options of theirs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bootsmith.tasks.build.stage import Context


def place(ctx: Context, file: Path, start: int = 0) -> str:
    """Return what the filesystem at an offset of a file is called, from the scratch folder, where programs run.

    A link there names the file; each stage looks at one.
    """
    link = ctx.work / "disk"
    if not link.is_symlink():
        link.symlink_to(file.absolute())
    return f"disk?offset={start}" if start else "disk"


def dumped(ctx: Context, file: Path, start: int = 0) -> Iterable[str]:
    """Return what dumpe2fs says of the blocks of the filesystem at an offset, line by line."""
    listed = ctx.work / "blocks"
    if ctx.run("dumpe2fs", place(ctx, file, start), stdout=listed, check=False).status:
        return []  # it can make nothing of it: then nothing is known to be free
    with listed.open(errors="replace") as lines:
        return [line for line in lines if line.startswith(("Block size:", "  Free blocks:"))]
