"""Folders that were moved and put back while somebody read what is in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.files import inotify
from bootsmith.cache.files.moves import Moves

from tests.support.forked_work import in_child


def away_and_back(path: Path) -> None:
    """Move a folder, put another in its place, and undo both."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()
    path.rmdir()
    aside.rename(path)


@pytest.fixture(name="file")
def fixture_file(tmp_path: Path) -> Path:
    """A file in two folders, the way to it by two links, one of which leads up and down again."""
    (tmp_path / "one/two").mkdir(parents=True)
    (tmp_path / "one/two/file").touch()
    (tmp_path / "link").symlink_to("one/../by")
    (tmp_path / "by").symlink_to(tmp_path / "one")
    return tmp_path / "link/two/file"


@pytest.mark.parametrize("name", ["one", "one/two", "link", "by"])
def test_each_folder_and_link_on_the_way(name: str, file: Path, tmp_path: Path) -> None:
    """All that leads to a file is watched, whatever its links are, and what was moved is named."""
    with Moves([file]) as watch:
        assert watch.found() == []
        away_and_back(tmp_path / name)
        assert watch.found() == [os.fsencode(tmp_path / name)]


@pytest.mark.parametrize(
    "change",
    [
        lambda top: (top / "one/two/file").rename(top / "one/two/other"),  # known by its own stat
        lambda top: away_and_back(top / "beside"),
        lambda top: (top / "one/two/new").mkdir(),
        lambda top: shutil.copytree(top / "one", top / "copy"),
        lambda top: (top / "one/two").chmod(0o700),
    ],
)
def test_what_leads_nowhere_near(change: Callable[[Path], object], file: Path, tmp_path: Path) -> None:
    """Whatever else is made and moved in the same folders is none of the watch's business."""
    (tmp_path / "beside").mkdir()
    with Moves([file]) as watch:
        change(tmp_path)
        assert watch.found() == []


def test_several_watch_at_once(file: Path, tmp_path: Path) -> None:
    """Each is told of all that happened while it watched, whoever asked first; what was before is not its business."""
    away_and_back(tmp_path / "one")
    with Moves([file]) as first:
        away_and_back(tmp_path / "one")
        with Moves([file]) as second:
            assert second.found() == []
            away_and_back(tmp_path / "one/two")
            assert second.found() == [os.fsencode(tmp_path / "one/two")]
        away_and_back(tmp_path / "by")
        assert first.found() == [os.fsencode(tmp_path / name) for name in ("by", "one", "one/two")]
    with Moves([file]) as third:
        assert third.found() == []


def test_a_fork_watches_for_itself(file: Path, tmp_path: Path) -> None:
    """A process that was forked takes nothing of what its parent is told."""

    def watch_there() -> None:
        with Moves([file]) as own:
            away_and_back(tmp_path / "one")
            assert own.found() == [os.fsencode(tmp_path / "one")]

    with Moves([file]) as watch:
        assert in_child(watch_there) == 0
        assert watch.found() == [os.fsencode(tmp_path / "one")]


def test_more_than_the_kernel_keeps(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel lost count of what was moved, all may have been."""
    with Moves([file]) as watch:
        found = iter([inotify._EVENT.pack(-1, 0x4000, 0, 0)])

        def read(*_: int) -> bytes:
            for each in found:
                return each
            raise BlockingIOError

        monkeypatch.setattr(os, "read", read)
        assert watch.found() == [b"/"]


def test_a_user_without_watches(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's own times tell that it was moved, unless something is put into it afterwards."""
    monkeypatch.setattr(inotify, "_ONLY_FOLDERS", 0xFFFFFFFF)  # what the kernel refuses
    with Moves([file]) as watch:
        assert watch.found() == []
        (tmp_path / "one/new").touch()
        assert watch.found() == []
        away_and_back(tmp_path / "one/two")
        assert watch.found() == [os.fsencode(tmp_path / "one/two")]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """A way without an end is followed as far as the kernel follows it."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with Moves([tmp_path / "a/x", tmp_path / "none/at/all"]) as watch:
        assert watch.found() == []
