"""An image of any format, opened to be looked into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bootsmith.tasks.disk import inspect, parts
from bootsmith.tasks.disk.image_content import opened
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.volumes import Image


@contextlib.contextmanager
def looked_into(path: Path, passphrase: Passphrase | None = None) -> Iterator[Image]:
    """Yield an image, open. Raises UsageError for what is none, StageError for a damaged one."""
    kind = inspect.format_of(path, opens=passphrase is not None)
    with opened(path, kind, passphrase) as disk:
        table, identity, found, _ = parts.parts(disk)
        if not found:
            raise UsageError(f"{path} has no partition, and no filesystem that is known", "`doit inspect` tells more.")
        image = Image(path, disk, table, identity, found)
        try:
            yield image
        finally:
            image.close()
