"""cache/files/walk.py: all that is in a directory, once, in order, however deep."""

from __future__ import annotations

import gc
import os
import stat
from itertools import islice
from pathlib import Path

import pytest
from bootsmith.cache.files.walk import LONGEST, occupied, walk

from tests.support.deep_tree import deep_tree


def inside(top: Path) -> list[bytes]:
    return [entry.inside for entry in walk(top)]


def open_files() -> set[str]:
    gc.collect()  # what other tests forgot is closed whenever that is
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def test_each_directory_stands_before_what_is_in_it(tmp_path: Path) -> None:
    """Names are sorted byte by byte, one directory after the other: the order in which a layer has them."""
    for path in ("b/x", "b.c", "a/z/1", "a/z-", "A"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert inside(tmp_path) == [b"A", b"a", b"a/z", b"a/z/1", b"a/z-", b"b", b"b/x", b"b.c"]


def test_names_are_bytes(tmp_path: Path) -> None:
    """A name that is no text, or more than a line, is found as it is, and its path can be opened."""
    names = [b"\xe9t\xe9", b"a\nb", "日本".encode(), b" ", b"\\x20"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    for entry in walk(tmp_path):
        assert Path(os.fsdecode(entry.path)).read_bytes() == entry.name
    assert inside(tmp_path) == sorted(names)


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link, to a directory too, is a name like another; only the top may be reached by one."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    (top / "sub/out").symlink_to(tmp_path / "outside")
    (top / "sub/loop").symlink_to("..")
    (tmp_path / "link").symlink_to("top")
    assert inside(tmp_path / "link") == [b"sub", b"sub/loop", b"sub/out"]
    assert [stat.S_ISLNK(entry.status.st_mode) for entry in walk(top)] == [False, True, True]


def test_a_directory_that_becomes_a_link_is_not_entered(tmp_path: Path) -> None:
    """Whoever swaps a directory for a link while it is walked leads nobody out."""
    (tmp_path / "top/sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    found = walk(tmp_path / "top")
    next(found)
    (tmp_path / "top/sub").rmdir()
    (tmp_path / "top/sub").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="sub"):
        list(found)


@pytest.mark.parametrize("name", ["d", "n" * 255])
def test_depth_has_no_limit(tmp_path: Path, name: str) -> None:
    """Five thousand directories in each other, far beyond what one path can say: what is in the last is reached."""
    depth = 5000 if name == "d" else 100
    with deep_tree(tmp_path / "top", depth, name=name) as last:
        file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=last)
        os.write(file, b"bottom")
        os.close(file)
        before = open_files()
        for count, entry in enumerate(walk(tmp_path / "top"), 1):
            assert len(entry.path) <= LONGEST
            if count > depth:
                assert Path(os.fsdecode(entry.path)).read_bytes() == b"bottom"
                assert len(open_files() - before) < 30
        assert count == depth + 1
        assert len(entry.inside) > LONGEST
        assert open_files() == before
        list(islice(walk(tmp_path / "top"), depth))  # and is left then
        assert open_files() == before


def test_what_is_excluded_is_not_looked_into(tmp_path: Path) -> None:
    """A name left out takes all below it along, whether that could be read or not."""
    for path in ("keep/x", "out/x", "keep/out"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    found = [entry.inside for entry in walk(tmp_path, lambda path: path == b"out")]
    assert found == [b"keep", b"keep/out", b"keep/x"]


def test_what_goes_away_is_an_error_or_was_never_there(tmp_path: Path) -> None:
    """Who walks says which: a directory that was removed since is named, or is empty."""
    (tmp_path / "gone/x").mkdir(parents=True)
    (tmp_path / "here").touch()

    def removing(absent: tuple[type[OSError], ...]) -> list[bytes]:
        found = []
        (tmp_path / "gone/x").mkdir(parents=True, exist_ok=True)
        for entry in walk(tmp_path, absent=absent):
            found.append(entry.inside)
            if entry.name == b"gone":
                (tmp_path / "gone/x").rmdir()
                (tmp_path / "gone").rmdir()
        return found

    with pytest.raises(FileNotFoundError, match="gone"):
        removing(())
    assert removing((FileNotFoundError,)) == [b"gone", b"here"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inside(tmp_path / "nowhere")
    assert list(walk(tmp_path / "nowhere", absent=(OSError,))) == []


def test_blocks_are_counted_once(tmp_path: Path) -> None:
    """What a stage took counts a file of two names once, and no holes."""
    (tmp_path / "one").write_bytes(bytes(range(256)) * 16)
    once = occupied(tmp_path)
    assert once >= 4096
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    assert occupied(tmp_path) < once + (1 << 20)
