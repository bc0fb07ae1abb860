"""An image of any format, opened to be looked into."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bootsmith.tasks.disk import inspect, parts
from bootsmith.tasks.disk.image_content import opened
from bootsmith.tasks.disk.passphrase import Passphrase
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.tools import host
from bootsmith.tasks.tree import lz4

Unlock = Callable[[Image, Sequence[bytes]], None]
"""Given an image and passphrases, `unlocking.unlock`, which knows those of a recipe besides."""


@contextlib.contextmanager
def looked_into(
    path: Path,
    passphrase: Passphrase | None = None,
    unlock: Unlock | None = None,
    find: Callable[[str], Path] = host.find,
) -> Iterator[Image]:
    """Yield an image, open; `unlock` opens the volumes on it, by the passphrase given if there is one.

    `find` returns where a library of the host is, where a filesystem is packed by what Python has not.

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
        image = Image(path, disk, table, identity, found, lambda: lz4.load(find(lz4.LIBRARY)))
        if unused and not (unlock and image.locked):
            raise unused
        try:
            if unlock:
                unlock(image, [passphrase.text] if passphrase else [])
            yield image
        finally:
            image.close()
