"""An ext filesystem brought to rest after its guest: its journal replayed, on a copy, and nothing mended beyond that.

What e2fsck takes for harmless can be a folder that it lets go, which would then be removed elsewhere too. So it may say
what follows from a machine that was switched off; with anything else the filesystem is not believed.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final

from bootsmith.tasks.disk import splice
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host, readers
from bootsmith.tasks.tools.bounds import Bounds
from bootsmith.tasks.tools.enclosure import Shown

_SECONDS: Final = 3600
_MEMORY: Final = 4 << 30
"""What e2fsck may take: many times what the largest disks need."""
_HARMLESS: Final = re.compile(
    # before it stands a label of 16 signs: too few to make something harmless of another message
    r"(?:[^:]*: )?(?:recovering journal|(Clearing|Truncating) orphaned inode .*"
    r"|was not cleanly unmounted, check forced\.|Free (blocks|inodes) count wrong.*"
    r"|(Block|Inode) bitmap differences: .*|Padding at end of .* bitmap is not set\..*"
    r"|Superblock last (mount|write) time .*|\(by less than a day, probably due to the hardware clock .*"
    r"|.* files \(.*\), .* blocks)?"
)


def at_rest(image: Path, copy: Path) -> Path:
    """Return a filesystem that is whole: `image` as it is, else `copy`, made of it. Raises StageError."""
    if _was_unmounted(image):
        _check(image, "-n")
        return image
    copy.unlink(missing_ok=True)
    splice.copy_file(image, copy)
    said = _check(copy, "-p")
    strange = [line for line in said if not _HARMLESS.fullmatch(line.strip())]
    if strange:
        raise _damaged(image, strange)
    return copy


def _was_unmounted(image: Path) -> bool:
    """Tell whether the last one to write to it took leave. Linux, Documentation/filesystems/ext4/super.rst."""
    with image.open("rb") as file:
        file.seek(1024)
        block = file.read(1024).ljust(1024, b"\0")
    (state,), (features,), (orphan,) = (
        struct.unpack_from(form, block, offset) for form, offset in (("<H", 0x3A), ("<I", 0x60), ("<I", 0xE8))
    )
    return bool(state == 1 and not features & 0x4 and not orphan)


def _check(image: Path, how: str) -> list[str]:
    """Let e2fsck look at everything; return what it says."""
    bounds = Bounds(_SECONDS, _MEMORY, image.stat().st_size)
    shown = Shown(image, writable=how != "-n")
    done = readers.look(host.find("e2fsck"), lambda name: ["-f", how, name], shown, bounds=bounds)
    if done.status > 128:
        raise StageError(
            f"e2fsck did not come to an end with what the guest left in {image}: signal {done.status - 128}",
            f"Look at it: e2fsck -fn {image}",
        )
    said = done.stdout.decode(errors="replace").splitlines()
    if done.status not in ((0,) if how == "-n" else (0, 1, 2)):
        raise _damaged(image, said or done.stderr.decode(errors="replace").splitlines())
    return said


def _damaged(image: Path, said: list[str]) -> StageError:
    lines = "\n".join("".join(sign for sign in f"  {line}" if sign.isprintable()) for line in said[:5])
    return StageError(
        f"the guest left a damaged filesystem; e2fsck says of {image}:\n{lines}", f"Look at it: e2fsck -fn {image}"
    )
