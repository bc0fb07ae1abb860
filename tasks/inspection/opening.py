"""An image of any format, opened to be looked into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bootsmith.tasks.disk import inspect, parts
from bootsmith.tasks.disk.image_content import opened
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.volumes import Image


@contextlib.contextmanager
def looked_into(path: Path, passphrase: Passphrase | None = None, keys: Sequence[bytes] = ()) -> Iterator[Image]:
    """Yield an image, open; volumes on it that the passphrase, or one of the keys, opens, too.

    Raises UsageError for what is none, StageError for a damaged one, BootsmithError where a passphrase opens nothing.
    """
    outer, unused = passphrase, None
    try:
        kind = inspect.format_of(path, opens=passphrase is not None)
    except UsageError as error:
        if passphrase is None:
            raise
        outer, unused = None, error
        kind = inspect.format_of(path, opens=False)
    with opened(path, kind, outer) as disk:
        table, identity, found, _ = parts.parts(disk)
        if not found:
            raise UsageError(f"{path} has no partition, and no filesystem that is known", "`doit inspect` tells more.")
        image = Image(path, disk, table, identity, found)
        if unused and not image.locked:
            raise unused
        try:
            if image.locked and (keys or passphrase):
                from bootsmith.tasks.inspection import unlocking

                unlocking.unlock(image, [*keys, *([passphrase.text] if passphrase else [])])
            yield image
        finally:
            image.close()
