"""cache/store/store.py: a file restored onto an older version of itself, of which only what differs is written."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bootsmith.cache.files import sparse
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.store.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.stored_damage import flip
from tests.support.stored_files import ABSENT, MIB, files


@pytest.fixture
def shared_memory() -> Iterator[Path]:
    """A folder on another file system than temporary files are on."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@dataclass
class Disk:
    """A disk in a store, another version of it in a file, and what was written to that file meanwhile."""

    store: Store
    digest: str
    content: bytes
    old: Path
    written: list[tuple[int, int]]

    def restore(self, destination: Path) -> bool:
        """Fetch the disk onto its other version."""
        self.written.clear()
        return self.store.fetch(self.digest, destination, onto=self.old)


def pattern(number: int) -> bytes:
    """Return a chunk that is like no other."""
    return (b"%8d" % number) * (MIB // 8)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk of 12 MiB and a bit, half of it zeros; an older version is there."""
    chunks = [pattern(number) if number % 2 else bytes(MIB) for number in range(12)]
    content = b"".join(chunks) + b"the rest"
    store = Store(tmp_path / "store")
    found = Disk(store, store.put_bytes(content), content, tmp_path / "old", [])
    found.old.write_bytes(content)
    real = sparse.write

    def noting(target: int, data: memoryview, start: int) -> None:
        found.written.append((start, len(data)))
        real(target, data, start)

    monkeypatch.setattr(sparse, "write", noting)
    return found


OLDER: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "the same": (lambda now: now, 0),
    "a byte changed": (lambda now: now[: MIB + 9] + b"!" + now[MIB + 10 :], 1),
    "data where now are zeros": (lambda now: pattern(77) + now[MIB:], 0),
    "zeros where now is data": (lambda now: now[:MIB] + bytes(MIB) + now[2 * MIB :], 1),
    "a chunk less": (lambda now: now[: 11 * MIB], 2),
    "shorter by a few bytes": (lambda now: now[:-3], 1),
    "longer": (lambda now: now + bytes(3 * MIB) + b"tail", 1),
    "the last chunk was longer": (lambda now: now + b"and more", 1),
    "all of it different": (lambda now: pattern(5) * 3 + now[: len(now) - 3 * MIB], 7),
    "a byte inserted at the front": (lambda now: b"\0" + now, 7),
    "empty": (lambda _: b"", 7),
}


@pytest.mark.parametrize("older", OLDER)
def test_onto_an_older_version_only_what_differs_is_written(disk: Disk, tmp_path: Path, older: str) -> None:
    """The file becomes the wanted one, whatever it was; of the chunks only those are written that are not there."""
    change, chunks = OLDER[older]
    disk.old.write_bytes(change(disk.content))
    inode = disk.old.stat().st_ino
    assert disk.restore(tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == disk.content
    assert len({start // MIB for start, _ in disk.written}) <= chunks
    assert not disk.old.exists()
    assert (tmp_path / "new").stat().st_ino == inode
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644


def test_onto_itself(disk: Disk) -> None:
    """The older version may be the one at the destination."""
    disk.old.write_bytes(pattern(3) * 4)
    assert disk.restore(disk.old)
    assert disk.old.read_bytes() == disk.content


def test_zeros_written_before_become_holes(disk: Disk, tmp_path: Path) -> None:
    """Where data was and zeros are to be, the file takes no room any more (W2)."""
    disk.old.write_bytes(pattern(1) * 13)
    assert disk.restore(tmp_path / "new")
    assert (tmp_path / "new").stat().st_blocks * 512 < 8 * MIB


@pytest.mark.parametrize("why", ["another name", "a link", "missing", "a folder", "held", "another file system"])
def test_a_file_that_cannot_be_used_up_is_left_alone(disk: Disk, tmp_path: Path, shared_memory: Path, why: str) -> None:
    """A hard link, a symlink, a locked file, one that is not there: as if none had been given."""
    before = disk.old.read_bytes()
    kept = disk.old.rename(tmp_path / "kept")
    if why == "another name":
        os.link(kept, disk.old)
    elif why == "a link":
        disk.old.symlink_to(kept)
    elif why == "a folder":
        disk.old.mkdir()
    elif why == "held":
        kept.rename(disk.old)
        kept = disk.old
    elif why == "another file system":
        disk.old = kept = Path(shutil.copyfile(kept, shared_memory / "old"))
    with FileLock(kept, create=False) if why == "held" else nullcontext():
        assert disk.restore(tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == disk.content
    assert kept.read_bytes() == before


def test_a_damaged_chunk_spoils_no_file_that_was_there(disk: Disk, tmp_path: Path) -> None:
    """The destination keeps what it held; the older version, half changed, is gone."""
    names = disk.store.chunks(disk.digest)
    assert names is not None
    (chunk,) = (disk.store.root / "chunks").glob(f"??/{names[3]}*")
    flip(chunk)
    disk.old.write_bytes(b"other")
    (tmp_path / "new").write_bytes(b"precious")
    assert not disk.restore(tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"precious"
    assert not disk.old.exists()
    assert files(tmp_path) == sorted(["new", *files(disk.store.root)])


def test_where_nothing_can_be_restored_the_older_version_stays(disk: Disk, tmp_path: Path) -> None:
    """A blob that is not there, or lacks a chunk, costs nothing."""
    assert not disk.store.fetch(ABSENT, tmp_path / "new", onto=disk.old)
    next((disk.store.root / "chunks").glob("??/*")).unlink()
    assert not disk.restore(tmp_path / "new")
    assert disk.old.read_bytes() == disk.content


@given(
    st.lists(st.sampled_from([None, 1, 2, 3]), max_size=5),
    st.lists(st.sampled_from([None, 1, 2, 3]), max_size=5),
    st.integers(0, 3),
    st.integers(0, 3),
)
@settings(max_examples=60)
def test_any_file_becomes_any_other(
    tmp_path: Path, new: list[int | None], old: list[int | None], rest: int, tail: int
) -> None:
    """Whatever stood there, what comes out is what was stored: chunks of data and of zeros in any order and length."""
    one, other = (
        b"".join(bytes(MIB) if number is None else pattern(number) for number in chunks) for chunks in (new, old)
    )
    one, other = one + b"abc"[:rest], other + bytes(2 * tail)
    store = Store(tmp_path / "store")
    digest = store.put_bytes(one)
    (tmp_path / "old").write_bytes(other)
    assert store.fetch(digest, tmp_path / "out", onto=tmp_path / "old")
    assert (tmp_path / "out").read_bytes() == one
