"""Volumes of LUKS on an image, unlocked by passphrases: then what is in them is read as any other partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bootsmith.tasks.disk import superblock
from bootsmith.tasks.disk.luks import opened
from bootsmith.tasks.disk.luks.clear import ClearDisk
from bootsmith.tasks.disk.luks.volume import crypto_library
from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.disk.raw_content import Disk
from bootsmith.tasks.errors import BootsmithError, StageError
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.tools import host


def unlock(image: Image, keys: Sequence[bytes]) -> None:
    """Unlock what these passphrases open. Raises BootsmithError where they open nothing."""
    locked = image.locked
    if not locked or not keys:
        return
    library, refused = crypto_library(host.find("openssl")), None
    for part in locked:
        name = f"{image.path}, partition {part.number}" if part.number else str(image.path)
        for key in keys:
            try:
                found = opened.unlock(name, partial(_inside, image.disk, part), key, library)
            except BootsmithError as error:
                refused = error
                if isinstance(error, StageError):
                    break
                continue
            clear = ClearDisk(image.disk, part.start, part.size, found, library)
            image.close_with(clear.close)
            image.clear[part.number] = clear
            assert part.filesystem is not None, "it is locked"
            image.sealed[part.number] = part.filesystem
            image.parts[part.number] = replace(part, filesystem=superblock.probe_any(clear.read))
            break
    if refused and not image.clear:
        raise refused


def _inside(disk: Disk, part: Part, offset: int, length: int) -> bytes:
    return disk.read(part.start + offset, min(length, part.size - offset)) if 0 <= offset < part.size else b""
