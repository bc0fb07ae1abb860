"""cache/store/store.py on file systems that share blocks between files, and on those that do not."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import of_bytes
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import sparse
from bootsmith.cache.store.store import Store

from tests.support.stored_damage import DAMAGES
from tests.support.stored_files import CONTENT, DIGEST, MIB, pieces


@pytest.fixture
def clones(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A kernel that shares blocks, as btrfs and XFS do, by copying; the offsets it was asked for."""
    asked: list[int] = []

    def ioctl(target: int, request: int, what: bytes) -> None:
        assert request == sparse.FICLONERANGE
        source, start, size, position = sparse.CLONE_RANGE.unpack(what)
        if any(place % 4096 for place in (start, size, position)):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        os.pwrite(target, os.pread(source, size or 1 << 30, start), position)
        asked.append(position)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return asked


def test_where_blocks_can_be_shared_they_are(
    tmp_path: Path, source: Path, clones: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks are plain, and share their blocks with what they came from, and with what is restored from them."""
    store = Store(tmp_path / "store")
    store.put(source, DIGEST)
    assert [path.suffix for path in pieces(store)[1:]] == ["", "", ""]
    assert clones == [0, 0, 0]
    monkeypatch.setattr(sparse, "write", lambda *_: pytest.fail("written"))
    assert store.fetch(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert clones[3:] == [0, MIB, 2 * MIB]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_not_shared(tmp_path: Path, source: Path, clones: list[int], damage: str) -> None:
    """What was shared is read back before it counts (V6)."""
    store = Store(tmp_path / "store")
    store.put(source, DIGEST)
    DAMAGES[damage](pieces(store)[2])
    assert not store.fetch(DIGEST, tmp_path / "out")
    assert not store.has(DIGEST)
    store.put(source, DIGEST)
    assert store.fetch(DIGEST, tmp_path / "out")
    assert clones


def test_a_file_that_changes_while_it_is_shared_is_not_stored(
    tmp_path: Path, source: Path, clones: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the copy that cost nothing is verified (V5)."""
    store = Store(tmp_path / "store")
    real = sparse.clone

    def edited(*arguments: int) -> bool:
        with source.open("ab") as file:
            file.write(b"more")
        return real(*arguments)

    monkeypatch.setattr(sparse, "clone", edited)
    with pytest.raises(CacheError, match="source changed while it was stored"):
        store.put(source, of_bytes(CONTENT[:-1]))
    store.put(source, DIGEST)  # only its end changed, behind what was read
    monkeypatch.undo()
    assert clones
    assert store.get_bytes(DIGEST) == CONTENT


def test_where_blocks_cannot_be_shared_that_is_tried_once(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refusal is enough: the rest is copied without asking."""
    asked: list[int] = []

    def refuse(_target: int, request: int, _what: bytes) -> None:
        asked.append(request)
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    store = Store(tmp_path / "store")
    store.put(source, DIGEST)
    assert store.fetch(DIGEST, tmp_path / "out")
    assert asked == [sparse.FICLONERANGE]
    assert (tmp_path / "out").read_bytes() == CONTENT
