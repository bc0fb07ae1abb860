"""cache/keep/roots.py: which build directories count, and what their records need."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from bootsmith.cache.files import sealed
from bootsmith.cache.keep import roots
from bootsmith.cache.keep.roots import PATIENCE, Root
from bootsmith.cache.store import location
from bootsmith.cache.store import record as records
from bootsmith.cache.store.record import Record

KEY, BLOB, DETAIL = "a" * 32, "b" * 32, "c" * 32
SHA256 = "d" * 64


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where a store is to be."""
    return tmp_path / "store"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build directory with one record, and a lock file that names a download."""
    build = tmp_path / "project/build/toy"
    record = Record("rootfs", KEY, {}, {"out": {"hash": BLOB, "size": 1}}, details={"code": DETAIL, "inputs": {}})
    records.write(build / ".bootsmith/records/rootfs.json", record)
    (tmp_path / "project/toy.lock").write_text(f"package 1.0 {SHA256} file\nno{SHA256}, {SHA256}0\n")
    return build


def noted(store: Path, build: Path) -> Root:
    """Note a build directory, and return what is read of it."""
    roots.note(store, build, [build.parent.parent / "toy.lock"])
    assert location.root(store, build).exists()
    (root,) = roots.read(store).values()
    return root


def test_current_records_name_what_they_need(store: Path, build: Path) -> None:
    """Result, outputs, details, and the downloads of the lock file; of the present, not of when it was noted."""
    root = noted(store, build)
    assert root.build == build
    assert root.keys == (KEY,)
    assert root.state(0) == "here"
    assert root.names("here") == {f"results/{KEY}", f"blobs/{BLOB}", f"blobs/{DETAIL}", f"sha256/{SHA256}"}
    (build / ".bootsmith/records/rootfs.json").unlink()
    assert root.names("here") == {f"sha256/{SHA256}"}


def test_a_directory_that_was_removed_no_longer_counts(store: Path, build: Path) -> None:
    """Nor one that was emptied of all that a build leaves."""
    root = noted(store, build)
    shutil.rmtree(build / ".bootsmith")
    assert root.state(root.noted) == "gone"
    shutil.rmtree(build.parent)
    assert root.state(root.noted) == "gone"


def test_a_directory_that_cannot_be_looked_at_counts_for_a_while(store: Path, build: Path) -> None:
    """A disk that is not plugged in comes back: until then by the keys it had, but not for ever."""
    root = noted(store, build)._replace(mount=build.parent.parent / "disk")
    shutil.rmtree(build)
    assert root.state(root.noted) == "away"
    assert root.names("away") == {f"results/{KEY}"}
    assert root.state(root.noted + PATIENCE) == "gone"


def test_a_directory_nobody_lets_us_enter_counts_for_a_while(
    store: Path, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not seeing it is not seeing it gone."""

    def deny(path: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    root = noted(store, build)
    monkeypatch.setattr(os, "scandir", deny)
    assert root.state(root.noted) == "away"


def test_a_note_that_is_damaged_counts_for_nothing(store: Path, build: Path) -> None:
    """The next run of that build notes it again."""
    noted(store, build)
    (path,) = roots.read(store)
    path.write_bytes(path.read_bytes().replace(b"project", b"prospect"))
    assert roots.read(store) == {}
    sealed.write(path, "root 0", json.dumps({"build": str(build)}).encode())
    assert roots.read(store) == {}


def test_a_store_that_cannot_be_written_is_not_told(tmp_path: Path, build: Path) -> None:
    """A build goes on without."""
    (tmp_path / "file").touch()
    roots.note(tmp_path / "file", build, [])
    assert not location.root(tmp_path / "file", build).exists()
    assert roots.read(tmp_path / "file") == {}
