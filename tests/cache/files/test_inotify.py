"""What the kernel tells of names in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from bootsmith.cache.files.inotify import MADE, MOVED, Inotify


def test_names_that_come_and_go_are_told(tmp_path: Path) -> None:
    """Of the kinds that were asked for, by the watch of their folder; a file cannot be watched."""
    inotify = Inotify()
    watch = inotify.add(os.fsencode(tmp_path), MADE)
    assert watch >= 0
    assert inotify.add(os.fsencode(tmp_path), MADE) == watch
    (tmp_path / "name\xff").touch()
    (tmp_path / "name\xff").rename(tmp_path / "moved")
    assert [(each.watch, each.name) for each in inotify.events()] == [(watch, "name\xff".encode())]
    assert inotify.add(os.fsencode(tmp_path / "moved"), MADE) == -1
    assert inotify.add(os.fsencode(tmp_path / "none"), MADE) == -1
    inotify.remove(watch)
    (tmp_path / "more").touch()
    assert list(inotify.events()) == []
    inotify.close()
    assert inotify.add(os.fsencode(tmp_path), MOVED) == -1
    assert list(inotify.events()) == []
