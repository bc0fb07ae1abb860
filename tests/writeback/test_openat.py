"""A tree reached name by name: what is asked of it happens in it or nowhere, whatever stands in the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from bootsmith.tasks.writeback.openat import Top

LINK = r"Not a directory|symbolic links"
DEEP = 1000


@pytest.fixture(name="top")
def fixture_top(tmp_path: Path) -> Path:
    """A small tree, and beside it an outside that links in the tree lead to."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("mine")
    top = tmp_path / "top"
    (top / "etc").mkdir(parents=True)
    (top / "etc/motd").write_text("hello\n")
    (top / "out").symlink_to("../outside")
    (top / "file").symlink_to("../outside/precious")
    return top


@pytest.fixture(name="opened")
def fixture_opened(top: Path, tmp_path: Path) -> Iterator[Top]:
    """That tree, open; what is outside is as it was whatever a test did."""
    with Top(top) as opened:
        yield opened
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["precious"]
    assert (tmp_path / "outside/precious").read_text() == "mine"


@pytest.mark.parametrize(
    "path", [b"..", b"../outside/precious", b"etc/../../outside", b"/etc/passwd", b"a\0b", b".", b"etc//motd", b"etc/"]
)
def test_no_path_leads_out(opened: Top, path: bytes) -> None:
    """Whatever the words, nothing is looked at or touched outside."""
    for action in (opened.status, opened.remove, opened.make, opened.open_up, opened.target, opened.sweep):
        with pytest.raises(OSError, match="not a name"):
            action(path)
    for here, there in ((b"etc/motd", path), (path, b"etc/motd")):
        with pytest.raises(OSError, match="not a name"):
            opened.move(here, there)


def test_links_are_not_followed(opened: Top) -> None:
    """A link in the place of a folder or a file is no way out."""
    assert opened.status(b"out/precious") is None
    for action in (opened.remove, opened.make, opened.open_up, opened.target):
        with pytest.raises(OSError, match=LINK):
            action(b"out/precious")
    with pytest.raises(OSError, match=LINK):
        opened.open_up(b"out")
    for here, there in ((b"etc/motd", b"out/motd"), (b"out/precious", b"etc/motd")):
        with pytest.raises(OSError, match=LINK):
            opened.move(here, there)
    with pytest.raises(OSError, match="symbolic links"), opened.file(b"file"):
        pass


def test_the_top_is_no_link_and_stays_the_same(top: Path, tmp_path: Path) -> None:
    """The top may not be a link; once open, it is that folder, whatever takes its name later."""
    (tmp_path / "alias").symlink_to("top")
    with pytest.raises(OSError, match=LINK):
        Top(tmp_path / "alias")
    with Top(top) as opened:
        top.rename(tmp_path / "was")
        top.symlink_to("outside")
        opened.make(b"made")
    assert (tmp_path / "was/made").is_dir()
    assert not (tmp_path / "outside/made").exists()


def test_a_link_is_itself(opened: Top, top: Path) -> None:
    """A link is looked at, read, replaced and removed as the link that it is."""
    status = opened.status(b"file")
    assert status
    assert stat.S_ISLNK(status.st_mode)
    assert opened.target(b"out") == b"../outside"
    opened.move(b"etc/motd", b"file")
    assert (top / "file").read_text() == "hello\n"
    assert not (top / "file").is_symlink()
    opened.remove(b"out")
    assert opened.status(b"out") is None


@pytest.mark.parametrize("path", [b"none", b"none/below", b"etc/motd/below", b"file/below", b"x" * 255])
def test_where_nothing_stands(opened: Top, path: bytes) -> None:
    """Nothing there, or a file above it, is told as nothing, not as an error."""
    assert opened.status(path) is None


def test_a_name_too_long_is_an_error(opened: Top) -> None:
    """A name that no folder could hold is not taken for one that is free."""
    with pytest.raises(OSError, match="too long"):
        opened.status(b"x" * 256)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"-rf *\n", b"\x1b[2J", b" "])
def test_names_are_bytes(opened: Top, top: Path, name: bytes) -> None:
    """A name that is no UTF-8, or that a shell or terminal would take for something else, is a name as any other."""
    opened.make(name)
    opened.move(b"etc/motd", name + b"/" + name)
    assert os.listdir(os.fsencode(top) + b"/" + name) == [name]  # noqa: PTH208  pathlib has no bytes
    with opened.file(name + b"/" + name) as fd:
        assert os.read(fd, 100) == b"hello\n"
    opened.sweep(name)
    assert opened.status(name) is None


def step(fd: int, name: str) -> int:
    """Go from an open folder to another."""
    other = os.open(name, os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    return other


def test_a_thousand_folders_deep(opened: Top, top: Path) -> None:
    """Depth is no limit, though the path is longer than a system call takes; no descriptor is left open."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(DEEP):
        os.mkdir("folder", dir_fd=here)
        here = step(here, "folder")
    before = len(list(Path("/proc/self/fd").iterdir()))
    path = b"/".join([b"folder"] * DEEP)
    opened.make(path + b"/below")
    opened.move(b"etc/motd", path + b"/below/motd")
    opened.open_up(path)
    status = opened.status(path + b"/below/motd")
    opened.sweep(path + b"/below")
    assert status
    assert status.st_size == len("hello\n")
    assert os.listdir(here) == []  # noqa: PTH208  of an open folder
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    for _ in range(DEEP):
        here = step(here, "..")
        os.rmdir("folder", dir_fd=here)
    os.close(here)


def test_what_is_no_file_does_not_hang(opened: Top, top: Path) -> None:
    """A pipe that took a file's place is opened without waiting for somebody at its other end."""
    os.mkfifo(top / "etc/pipe")
    with opened.file(b"etc/pipe") as fd:
        assert os.read(fd, 1) == b""


def test_only_an_empty_folder_is_removed(opened: Top, top: Path) -> None:
    """A folder with something in it stays."""
    with pytest.raises(OSError, match="not empty"):
        opened.remove(b"etc")
    assert (top / "etc/motd").exists()
    opened.remove(b"etc/motd")
    opened.remove(b"etc")
    assert not (top / "etc").exists()


@pytest.mark.parametrize(("mode", "opened_up"), [(0, 0o700), (0o2055, 0o2755), (0o1777, 0o1777)])
def test_a_closed_folder_is_opened_for_its_owner(opened: Top, top: Path, mode: int, opened_up: int) -> None:
    """Its owner may read, write and enter it then; what others may, and the special bits, stay."""
    (top / "etc").chmod(mode)
    opened.open_up(b"etc")
    assert stat.S_IMODE((top / "etc").stat().st_mode) == opened_up


def test_a_sweep_takes_links_not_what_they_lead_to(opened: Top, top: Path) -> None:
    """A folder of ours goes with the files and links in it; one that is not there is no error, a link is."""
    opened.make(b"ours")
    assert stat.S_IMODE((top / "ours").stat().st_mode) == 0o700
    (top / "ours/link").symlink_to("../../outside")
    (top / "ours/file").touch()
    opened.sweep(b"ours")
    assert not (top / "ours").exists()
    opened.sweep(b"ours")
    with pytest.raises(OSError, match=LINK):
        opened.sweep(b"out")
