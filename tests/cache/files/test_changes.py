"""Changes are told as they happen, by the kernel and by looking, and none is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.cache.files import changes as watched
from bootsmith.cache.files.changes import EVERYTHING, Changes
from bootsmith.cache.files.inotify import LOST, Event, Inotify

PATIENCE = 30.0
"""Seconds after which a change that should be told counts as lost."""


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A folder with a tree, a file, a link to a file elsewhere, and others beside them."""
    (tmp_path / "tree/deep/er").mkdir(parents=True)
    (tmp_path / "tree/deep/er/file").write_text("old")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/target").write_text("old")
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("other/target")
    return tmp_path


@pytest.fixture(name="changes", params=["told", "looked for"])
def fixture_changes(request: pytest.FixtureRequest) -> Iterator[Changes]:
    """What watches, in each of the two ways."""
    with Changes(looking=request.param == "looked for") as changes:
        yield changes


def replaced(top: Path) -> None:
    (top / "new").write_text("new!")
    (top / "new").rename(top / "file")


def to_come(top: Path) -> None:
    (top / "missing").mkdir()
    (top / "missing/file").touch()


EDITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "written": (lambda top: (top / "file").write_text("new!"), "file"),
    "replaced": (replaced, "file"),
    "removed": (lambda top: (top / "file").unlink(), "file"),
    "mode": (lambda top: (top / "file").chmod(0o700), "file"),
    "deep": (lambda top: (top / "tree/deep/er/file").write_text("new!"), "tree/deep/er/file"),
    "added": (lambda top: (top / "tree/deep/er/more").touch(), "tree/deep/er/more"),
    "folder": (lambda top: (top / "tree/deep/new").mkdir(), "tree/deep/new"),
    "dangling": (lambda top: (top / "tree/x").symlink_to("nowhere"), "tree/x"),
    "moved": (lambda top: (top / "tree").rename(top / "gone"), "tree"),
    "behind a link": (lambda top: (top / "other/target").write_text("new!"), "other/target"),
    "the link": (lambda top: (top / "link").unlink(), "link"),
    "to come": (to_come, "missing"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_is_told(top: Path, changes: Changes, edit: str) -> None:
    """Whatever it is, by its path, once; and nothing is told of what is not watched."""
    changes.watch([top / name for name in ("tree", "file", "link", "missing/file")])
    assert changes.found() == []
    (top / "unwatched").write_text("new")
    (top / "other/unwatched").write_text("new")
    change, path = EDITS[edit]
    change(top)
    found = [os.fsdecode(each) for each in changes.settled(PATIENCE)]
    assert found
    if changes.looks:
        path = {"behind a link": "link", "to come": "missing/file"}.get(edit, path)
    told = {path}
    assert told <= {os.path.relpath(each, top) for each in found}
    assert not any("unwatched" in each for each in found)
    assert changes.wait(0) == []


def test_what_happens_between_two_watches_is_known(top: Path, changes: Changes) -> None:
    """The watch is made anew before every build, for there may be more to watch: what was watched already stays so."""
    changes.watch([top / "file"])
    (top / "file").write_text("new!")
    changes.watch([top / "file", top / "tree"])
    (top / "tree/deep/new").mkdir()
    found = {os.fsdecode(each) for each in changes.settled(PATIENCE)}
    assert {str(top / "file"), str(top / "tree/deep/new")} <= found
    changes.watch([top / "file", top / "tree"])
    (top / "tree/deep/new/file").touch()  # in a folder that the first watch did not know
    assert os.fsencode(top / "tree/deep/new/file") in changes.settled(PATIENCE)
    changes.watch([top / "file"])
    (top / "tree/deep/file").touch()
    assert changes.wait(0) == []


def test_files_with_an_ending_are_told(top: Path) -> None:
    """Those that are yet to come too, such as a recipe's parent."""
    with Changes() as changes:
        changes.watch([], [(str(top), (".yaml",))])
        (top / "parent.yaml").touch()
        (top / "parent.txt").touch()
        assert changes.settled(PATIENCE) == [os.fsencode(top / "parent.yaml")]


def test_what_the_kernel_does_not_watch_is_looked_at(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user has so many watches and no more."""
    real = Inotify.add

    def add(self: Inotify, folder: bytes, what: int) -> int:
        return -1 if folder.endswith(b"/er") else real(self, folder, what)

    monkeypatch.setattr(Inotify, "add", add)
    with Changes() as changes:
        changes.watch([top / "tree", top / "file"])
        assert changes.looks == 1
        (top / "tree/deep/er/file").write_text("new!")
        (top / "file").write_text("new!")
        found: set[bytes] = set()
        while len(found) < 2:
            more = changes.wait(PATIENCE)
            assert more
            found.update(more)
    assert {os.fsencode(top / "tree/deep/er/file"), os.fsencode(top / "file")} <= found


@pytest.mark.parametrize("mounted", ["tree", "tree/deep", ""])
def test_what_others_write_to_is_looked_at(top: Path, monkeypatch: pytest.MonkeyPatch, mounted: str) -> None:
    """Where their file system is mounted at what is watched, above it, or anywhere in it."""
    monkeypatch.setattr(watched, "_foreign", lambda: [os.fsencode(top / mounted)])
    with Changes() as changes:
        changes.watch([top / "tree"])
        assert changes.looks == 1
    monkeypatch.setattr(watched, "_foreign", lambda: [os.fsencode(top / "other"), os.fsencode(top / "tre")])
    with Changes() as changes:
        changes.watch([top / "tree"])
        assert changes.looks == 0


def test_a_write_through_another_link_is_found_by_looking(top: Path) -> None:
    """The kernel tells it to who watches the folder of that other name."""
    (top / "other/link").hardlink_to(top / "tree/deep/er/file")
    with Changes(looking=True) as changes:
        changes.watch([top / "tree"])
        (top / "other/link").write_text("new!")
        assert changes.settled(PATIENCE) == [os.fsencode(top / "tree/deep/er/file")]


def test_more_than_can_be_told_is_a_change(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel keeps so many events and no more."""
    with Changes() as changes:
        changes.watch([top / "file"])
        monkeypatch.setattr(Inotify, "events", lambda _: iter([Event(-1, LOST & 0x4000, b"")]))
        assert changes.found() == [EVERYTHING]


def test_reading_is_no_change(top: Path, changes: Changes) -> None:
    """Else every build would be followed by another."""
    changes.watch([top / "tree", top / "file"])
    assert (top / "file").read_text()
    assert [each.name for each in (top / "tree/deep/er").iterdir()] == ["file"]
    assert (top / "tree/deep/er/file").read_text()
    assert changes.wait(0) == []
