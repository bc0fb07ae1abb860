"""cache/files/durable.py: what was written survives a power cut, at the price of one call."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest
from bootsmith.cache.files import durable


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths of what gets synced, one by one."""
    found: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: found.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    return found


def written(folder: Path, count: int) -> list[Path]:
    """Write so many files."""
    folder.mkdir()
    paths = [folder / str(number) for number in range(count)]
    for path in paths:
        path.touch()
    return paths


def test_few_files_are_synced_with_their_folders(tmp_path: Path, synced: list[str]) -> None:
    """Each file, the folder it lies in, and the folder above, which may be new too; what is gone is passed over."""
    paths = written(tmp_path / "folder", 3)
    paths[1].unlink()
    durable.sync(paths, tmp_path)
    assert synced == [str(path) for path in (paths[0], paths[2], tmp_path / "folder", tmp_path)]


def test_many_files_are_one_call(tmp_path: Path, synced: list[str]) -> None:
    """The file system as a whole is asked instead."""
    durable.sync(written(tmp_path / "folder", durable.FEW + 1), tmp_path)
    assert synced == []


class _Refusing:
    """A C library whose syncfs fails."""

    def syncfs(self, descriptor: int) -> int:
        assert descriptor >= 0
        return -1


@pytest.mark.parametrize("library", [_Refusing(), object()], ids=["refused", "not there"])
def test_where_that_call_fails_files_are_synced_after_all(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch, library: object
) -> None:
    """An old C library, or a network drive, costs time, not safety."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    paths = written(tmp_path / "folder", durable.FEW + 1)
    durable.sync(paths, tmp_path)
    assert {str(path) for path in paths} < set(synced)


def test_what_cannot_be_made_durable_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It only costs making it again."""

    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    durable.sync([*written(tmp_path / "folder", 3), tmp_path / "missing"], tmp_path)
