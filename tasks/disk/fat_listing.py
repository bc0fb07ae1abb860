"""What a FAT partition of any disk image holds, as mdir lists it."""

from __future__ import annotations

from bootsmith.tasks.disk.raw_content import Disk
from bootsmith.tasks.tools import host, readers
from bootsmith.tasks.tools.enclosure import Shown
from bootsmith.tasks.tools.environment import ENVIRONMENT


def paths(disk: Disk, start: int, size: int, *words: str) -> list[str]:
    """Return the paths that `mdir -b` lists, as ::/EFI/BOOT/X; none where it makes nothing of the partition."""
    with disk.part(start, size) as (file, offset):
        listed = readers.look(
            host.find("mdir"),
            lambda name: ["-b", "-i", f"{name}@@{offset}", *words],
            Shown(file),
            env={**ENVIRONMENT, "MTOOLS_SKIP_CHECK": "1"},
        )
    return listed.stdout.decode("utf-8", "replace").splitlines() if listed.status == 0 else []
