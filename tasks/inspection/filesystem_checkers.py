"""Filesystems' own programs, which look at partitions of images of people unknown; they write nothing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from bootsmith.tasks.disk import splice
from bootsmith.tasks.disk.parts import Part
from bootsmith.tasks.disk.raw_content import descriptor
from bootsmith.tasks.inspection.checker_output import complaint, program
from bootsmith.tasks.inspection.verdicts import Complaint
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.tools import host, readers
from bootsmith.tasks.tools.bounds import Bounds
from bootsmith.tasks.tools.enclosure import Shown

_BOUNDS = Bounds(120, 4 << 30)


def look(image: Image, part: Part) -> Complaint | None:
    """Have a partition's own program look at it, shut in."""
    name, words = program(part.filesystem.kind if part.filesystem else "")
    if not name:
        return None
    with contextlib.ExitStack() as stack:
        if name == "e2fsck":
            file, start = stack.enter_context(_place(image, part))
        else:  # fsck.vfat takes no offset
            source, at = stack.enter_context(descriptor(*image.where(part)))
            file, start = stack.enter_context(tempfile.TemporaryFile(prefix="bootsmith-")).fileno(), 0
            os.truncate(file, image.size(part))
            splice.copy(source, at, file, 0, image.size(part))
        offset = f"?offset={start}" if start else ""
        done = readers.look(host.find(name), lambda file: [*words, f"{file}{offset}"], Shown(file), bounds=_BOUNDS)
    return complaint(name, done)


def _place(image: Image, part: Part) -> contextlib.AbstractContextManager[tuple[Path | int, int]]:
    disk, start, size = image.where(part)
    return disk.part(start, size)
