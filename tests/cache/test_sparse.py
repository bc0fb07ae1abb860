"""cache/sparse.py: copies hold the same bytes and no more blocks, whatever the file system can do."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache import sparse

MIB = 1 << 20


def copy(source: Path, target: Path) -> None:
    """Copy a file by its path."""
    with source.open("rb") as reading, target.open("wb") as writing:
        sparse.copy(reading.fileno(), writing.fileno())


@pytest.fixture
def holes(tmp_path: Path) -> Path:
    """A file of 20 MiB and a bit: data, hole, data not aligned to anything, hole at the end."""
    path = tmp_path / "holes"
    with path.open("wb") as file:
        file.write(os.urandom(3 * MIB))
        file.seek(9 * MIB + 12345)
        file.write(b"between")
        file.truncate(20 * MIB + 7)
    return path


def raises(code: int) -> Callable[..., int]:
    """Return a system call that always fails."""

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_copy_holds_the_same_bytes(holes: Path, tmp_path: Path) -> None:
    """Data and holes read the same."""
    copy(holes, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == holes.read_bytes()


def test_a_copy_keeps_the_holes(holes: Path, tmp_path: Path) -> None:
    """A copy occupies no more than what it copies (W2)."""
    copy(holes, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_blocks <= holes.stat().st_blocks + 8


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, 2 * MIB + 1])
def test_dense_files_of_any_size(tmp_path: Path, size: int) -> None:
    """Files without holes, empty ones too, are copied whole."""
    (tmp_path / "dense").write_bytes(os.urandom(size))
    copy(tmp_path / "dense", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "dense").read_bytes()


@pytest.mark.parametrize("size", [1, 5 * MIB])
def test_a_file_that_is_one_hole(tmp_path: Path, size: int) -> None:
    """Nothing but a hole stays nothing but a hole."""
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(size)
    copy(tmp_path / "hole", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == size
    assert (tmp_path / "copy").stat().st_blocks == 0


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_kernel_will_not_copy_we_do(
    holes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Another file system, an old kernel, a network drive: the copy is made all the same, sparse."""
    monkeypatch.setattr(os, "copy_file_range", raises(code))
    monkeypatch.setattr(fcntl, "ioctl", raises(code))
    copy(holes, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == holes.read_bytes()
    assert (tmp_path / "copy").stat().st_blocks <= holes.stat().st_blocks + 8


def test_a_kernel_that_stops_half_way_is_helped_out(
    holes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems copy a part and then answer 0."""
    real = os.copy_file_range
    calls = []

    def tired(source: int, target: int, count: int, *offsets: int) -> int:
        calls.append(count)
        return real(source, target, min(count, 4096), *offsets) if len(calls) % 2 else 0

    monkeypatch.setattr(os, "copy_file_range", tired)
    copy(holes, tmp_path / "copy")
    assert calls
    assert (tmp_path / "copy").read_bytes() == holes.read_bytes()


def test_where_holes_are_not_known_all_is_data(holes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without SEEK_DATA costs the holes, not the content."""
    monkeypatch.setattr(os, "lseek", raises(errno.EINVAL))
    copy(holes, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == holes.read_bytes()


def test_a_shared_copy_needs_nothing_more(holes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where blocks can be shared, one request does it all."""
    asked = []
    monkeypatch.setattr(fcntl, "ioctl", lambda target, request, source: asked.append((target, request, source)))
    monkeypatch.setattr(os, "copy_file_range", raises(errno.EIO))
    with holes.open("rb") as reading, (tmp_path / "copy").open("wb") as writing:
        sparse.copy(reading.fileno(), writing.fileno())
        assert asked == [(writing.fileno(), sparse.FICLONE, reading.fileno())]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_real_errors_are_not_papered_over(
    holes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full disk or a broken one is reported, not worked around."""
    monkeypatch.setattr(os, "copy_file_range", raises(code))
    with pytest.raises(OSError, match=os.strerror(code)):
        copy(holes, tmp_path / "copy")
