"""cache/files/sparse.py: holes are found, punched and kept, blocks shared, whatever the file system can do."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.cache.files import sparse

MIB = 1 << 20


@pytest.fixture
def holes(tmp_path: Path) -> Iterator[int]:
    """An open file of 20 MiB and a bit: data, hole, data not aligned to anything, hole at the end."""
    with (tmp_path / "holes").open("w+b") as file:
        file.write(os.urandom(3 * MIB))
        file.seek(9 * MIB + 12345)
        file.write(b"between")
        file.truncate(20 * MIB + 7)
        file.flush()
        yield file.fileno()


def raises(code: int) -> Callable[..., int]:
    """Return a system call that always fails."""

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def is_data(descriptor: int, start: int) -> bool:
    """Tell whether a place is within what may hold data."""
    found = sparse.extents(descriptor)
    return any(low <= start < high for low, high in found)


def test_holes_are_found(holes: int) -> None:
    """Where there is data is told, where there is a hole is not."""
    assert [is_data(holes, place) for place in (0, 3 * MIB - 1, 9 * MIB + 12345)] == [True] * 3
    assert [is_data(holes, place) for place in (4 * MIB, 8 * MIB, 19 * MIB)] == [False] * 3


@pytest.mark.parametrize("size", [1, 5 * MIB])
def test_a_file_that_is_one_hole_has_no_data(tmp_path: Path, size: int) -> None:
    """Nothing but a hole holds nothing; nor does an empty file."""
    with (tmp_path / "hole").open("w+b") as file:
        assert list(sparse.extents(file.fileno())) == []
        file.truncate(size)
        assert list(sparse.extents(file.fileno())) == []


def test_where_holes_are_not_known_all_is_data(holes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without SEEK_DATA costs the holes, not the content."""
    monkeypatch.setattr(os, "lseek", raises(errno.EINVAL))
    assert list(sparse.extents(holes)) == [(0, 20 * MIB + 7)]


def test_a_stretch_is_looked_at_alone(holes: int) -> None:
    """Only what lies between the places that were given is told, and nothing beyond the file's end."""
    assert list(sparse.extents(holes, 100, 200)) == [(100, 200)]
    assert list(sparse.extents(holes, 4 * MIB, 8 * MIB)) == []
    ((start, end),) = sparse.extents(holes, MIB, 8 * MIB)
    assert (start, end // MIB) == (MIB, 3)
    os.ftruncate(holes, 2 * MIB)
    assert list(sparse.extents(holes, MIB, 8 * MIB)) == [(MIB, 2 * MIB)]


@pytest.mark.parametrize("can", [True, False])
def test_what_is_punched_reads_as_zeros(holes: int, monkeypatch: pytest.MonkeyPatch, can: bool) -> None:
    """A stretch of any size and place becomes zeros, the rest stays; it takes no room where the file system can."""
    if not can:
        monkeypatch.setattr(sparse, "_punch", lambda *_: False)
    before = os.pread(holes, 21 * MIB, 0)
    room = os.fstat(holes).st_blocks
    sparse.punch(holes, 5000, 2 * MIB)
    assert os.pread(holes, 21 * MIB, 0) == before[:5000] + bytes(2 * MIB) + before[5000 + 2 * MIB :]
    assert (os.fstat(holes).st_blocks < room - 3000) is can


def test_zeros_are_written_where_no_hole_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without holes costs space, never bytes."""
    monkeypatch.setattr(sparse, "_fallocate", lambda: None)
    target = tmp_path / "b"
    target.write_bytes(b"z" * (3 * MIB))
    with target.open("r+b") as file:
        sparse.punch(file.fileno(), 5, 2 * MIB + 7)
    assert target.read_bytes() == b"z" * 5 + bytes(2 * MIB + 7) + b"z" * (MIB - 12)


def test_punching_fails_as_the_kernel_says(tmp_path: Path) -> None:
    """A real error is reported, not worked around."""
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    with (tmp_path / "file").open("rb") as reading, pytest.raises(OSError, match="Bad file descriptor"):
        sparse.punch(reading.fileno(), 0, 4096)


@pytest.mark.parametrize(("start", "size", "asked"), [(MIB, MIB, MIB), (20 * MIB, 7, 0)])
def test_sharing_blocks_is_one_request(
    holes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, size: int, asked: int
) -> None:
    """Of whole blocks by their length, of the end of a file by 0, as ioctl_ficlonerange(2) wants it."""
    requests = []
    monkeypatch.setattr(fcntl, "ioctl", lambda target, request, what: requests.append((target, request, what)))
    with (tmp_path / "copy").open("wb") as target:
        assert sparse.clone(holes, start, size, target.fileno(), 3 * MIB)
        (request,) = requests
        assert request[:2] == (target.fileno(), sparse.FICLONERANGE)
        assert sparse.CLONE_RANGE.unpack(request[2]) == (holes, start, asked, 3 * MIB)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY])
def test_where_blocks_cannot_be_shared_that_is_an_answer(
    holes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Another file system, an old kernel, a network drive: False."""
    monkeypatch.setattr(fcntl, "ioctl", raises(code))
    with (tmp_path / "copy").open("wb") as target:
        assert not sparse.clone(holes, 0, MIB, target.fileno(), 0)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_real_errors_are_not_papered_over(
    holes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full disk or a broken one is reported, not worked around."""
    monkeypatch.setattr(fcntl, "ioctl", raises(code))
    with (tmp_path / "copy").open("wb") as target, pytest.raises(OSError, match=os.strerror(code)):
        sparse.clone(holes, 0, MIB, target.fileno(), 0)
