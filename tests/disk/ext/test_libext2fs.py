"""The library behind mke2fs, and what happens when it cannot do what it is asked."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.disk.ext.inode import Inode
from bootsmith.tasks.disk.ext.libext2fs import LibraryError, NoSpace, Volume, load
from bootsmith.tasks.disk.ext.library import library
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host, shared_libraries
from bootsmith.tasks.tree.tar import Entry

from tests.support.ext_image import check, header

EPOCH = 1_755_000_000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty filesystem."""
    made = tmp_path / "fs.img"
    with made.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", made], check=True, capture_output=True)
    return made


def volume(image: Path) -> Volume:
    """Open it."""
    return Volume(load(library(host.find("mke2fs"))), image, EPOCH)


def test_the_library_is_the_one_that_mke2fs_runs_with() -> None:
    """So the tool's identity, which enters the keys, covers it."""
    assert str(library(host.find("mke2fs"))) in shared_libraries.libraries(host.find("mke2fs"))


def test_a_library_that_is_another_is_refused() -> None:
    """By name, not by a crash."""
    other = next(each for each in shared_libraries.libraries(host.find("mke2fs")) if "libc." in each)
    with pytest.raises(StageError, match="cannot be used"):
        load(Path(other))


def test_opening_and_closing_leaves_a_clean_filesystem_of_that_time(image: Path) -> None:
    """Lifetime counters and times are made the same on every host."""
    volume(image).close()
    check(image)
    assert "Lifetime writes" not in header(image)


def test_a_volume_given_up_changes_nothing(image: Path) -> None:
    """What was not closed was not written."""
    before = image.read_bytes()
    opened = volume(image)
    opened.take_inode(directory=False)
    opened.abandon()
    assert image.read_bytes() == before


def test_what_is_no_filesystem_is_an_error(tmp_path: Path) -> None:
    """Zeros, and a file that is missing."""
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    with pytest.raises(LibraryError, match=r"Bad magic number"):
        volume(tmp_path / "zeros")
    with pytest.raises(FileNotFoundError):
        volume(tmp_path / "missing")


def test_a_full_filesystem_says_so(image: Path) -> None:
    """Blocks and inodes alike."""
    opened = volume(image)
    inode = Inode.of(Entry("big", "f"), EPOCH, opened.inode_size)
    inode.map_by_extents()
    number = opened.take_inode(directory=False)
    with pytest.raises(NoSpace):
        opened.reserve(number, inode, 0, 1 << 20)
    with pytest.raises(NoSpace):
        _ = [opened.take_inode(directory=False) for _ in range(1 << 16)]
    opened.abandon()


def test_a_file_in_many_pieces_keeps_its_blocks_in_order(image: Path) -> None:
    """Where no free stretch is long enough, extents go into a tree of their own, and all can be given back."""
    opened = volume(image)
    holes = []
    for index in range(600):
        inode = Inode.of(Entry(f"{index}", "f"), EPOCH, opened.inode_size)
        inode.map_by_extents()
        inode.size = 4096
        number = opened.take_inode(directory=False)
        opened.reserve(number, inode, 0, 1)
        opened.write_inode(number, inode)
        holes.append(number)
    rest = Inode.of(Entry("rest", "f"), EPOCH, opened.inode_size)
    rest.map_by_extents()
    with pytest.raises(NoSpace):  # take all but the holes
        opened.reserve(opened.take_inode(directory=False), rest, 0, 4096)
    for number in holes[::2]:
        opened.free_inode(number, directory=False)
    inode = Inode.of(Entry("pieces", "f"), EPOCH, opened.inode_size)
    inode.map_by_extents()
    number = opened.take_inode(directory=False)
    opened.reserve(number, inode, 0, 200)
    inode.size = 200 * 4096
    assert inode.extents() is None, "more than fit the inode"
    runs = opened.runs(number, inode)
    assert sum(count for _, _, count in runs) == 200
    assert len(runs) > 4
    opened.write_inode(number, inode)
    opened.free_inode(number, directory=False)
    opened.abandon()


@pytest.mark.parametrize("time", [0, 1, EPOCH, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**33 + 5, -1, -(2**31)])
def test_times_are_kept_beyond_2038(time: int) -> None:
    """As the kernel reads them: a signed lower half, and two bits more."""
    inode = Inode.of(Entry("x", "f", mtime=time), EPOCH, 256)
    low = int.from_bytes(inode[16:20], "little", signed=True)
    more = int.from_bytes(inode[136:140], "little") & 3
    assert low + (more << 32) == time


@pytest.mark.parametrize("seed", range(3))
def test_what_is_mapped_here_is_what_the_library_maps(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Files in one piece are given their blocks without it, and the bytes are the same: also between holes (V11)."""
    other = tmp_path / "other.img"
    shutil.copyfile(image, other)

    def fill(path: Path) -> None:
        chance, opened = random.Random(seed), volume(path)
        made: list[int] = []
        for index in range(400):
            if made and chance.random() < 0.2:
                opened.free_inode(made.pop(chance.randrange(len(made))), directory=False)
                continue
            inode = Inode.of(Entry(f"{index}", "f"), EPOCH, opened.inode_size)
            inode.map_by_extents()
            count = chance.choice([1, 1, 2, 7, 30])
            inode.size = count * 4096
            made.append(opened.take_inode(directory=False))
            opened.reserve(made[-1], inode, 0, count)
            if chance.random() < 0.1:
                opened.reserve(made[-1], inode, count + 3, 2)
            opened.write_inode(made[-1], inode)
            if chance.random() < 0.1:
                opened.set_xattrs(made[-1], {"user.long": chance.randbytes(800)})
        opened.close()

    fill(image)
    monkeypatch.setattr(Inode, "is_unmapped", lambda _: False)
    fill(other)
    assert image.read_bytes() == other.read_bytes()
