"""cache/store/store.py: what is damaged, changed or cannot be read or written is told, and never handed over."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import sparse
from bootsmith.cache.store.store import Store

from tests.support.failing_syscalls import failing
from tests.support.stored_damage import DAMAGES, flip, overwrite
from tests.support.stored_files import CONTENT, DIGEST, MIB, OUTPUTS, SHA256, download, files, pieces


@pytest.mark.parametrize("piece", range(4), ids=["index", "plain chunk", "packed chunk", "short chunk"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_blob_is_never_handed_over(
    store: Store, tmp_path: Path, source: Path, damage: str, piece: int
) -> None:
    """What is wrong goes to quarantine, the blob counts as absent, and can be stored again (V4, V6)."""
    path = pieces(store)[piece]
    DAMAGES[damage](path)
    (tmp_path / "out").write_bytes(b"old")
    assert not store.fetch(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert not store.has(DIGEST)
    assert store.get_bytes(DIGEST) is None
    assert store.sha256(DIGEST) is None
    assert files(store.root / "quarantine") == [path.name]
    store.put(source, DIGEST)
    assert store.fetch(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT


@pytest.mark.parametrize("piece", range(4))
@pytest.mark.parametrize("how", ["emptied", "removed", "swapped"])
def test_a_blob_that_lacks_a_piece_is_absent(store: Store, tmp_path: Path, source: Path, how: str, piece: int) -> None:
    """An empty file, as power cuts leave them, is as good as none; one chunk in another's place is found out (V4)."""
    path = pieces(store)[piece]
    if how == "emptied":
        overwrite(path, b"")
    elif how == "removed":
        path.unlink()
    else:
        other = pieces(store)[1 + piece % 3]
        path.rename(tmp_path / "third")
        other.rename(path)
        (tmp_path / "third").rename(other)
    assert not store.fetch(DIGEST, tmp_path / "out")
    assert not store.has(DIGEST)
    store.put(source, DIGEST)
    if how == "swapped" and piece == 0:  # without an index nobody knew which chunks to look at
        assert not store.fetch(DIGEST, tmp_path / "out")
        store.put(source, DIGEST)
    assert store.fetch(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_damaged_chunk_spoils_all_blobs_that_share_it_and_no_other(store: Store, tmp_path: Path) -> None:
    """What needs the chunk counts as absent, before it is asked for."""
    sharing = store.put_bytes(CONTENT[: 2 * MIB])
    apart = store.put_bytes(CONTENT[:MIB])
    flip(pieces(store)[2])
    assert not store.fetch(DIGEST, tmp_path / "out")
    assert [store.has(digest) for digest in (DIGEST, sharing, apart)] == [False, False, True]


def test_a_file_that_is_not_what_was_said_is_not_stored(store: Store, tmp_path: Path) -> None:
    """A file that changed between hashing and storing is an error that names it; no blob appears (V5)."""
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(CacheError, match="other changed while it was stored"):
        store.put(tmp_path / "other", "f" * 32)
    assert not store.has("f" * 32)


def test_a_file_that_changes_after_its_index_was_made_is_not_stored(store: Store, tmp_path: Path) -> None:
    """Chunks are verified against the fingerprint when they are stored, also where the index is remembered (V5)."""
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * MIB))
    digest = fingerprint(path)
    with path.open("r+b") as file:
        file.seek(MIB + 10)
        file.write(b"changed")
    with pytest.raises(CacheError, match="file changed while it was stored"):
        store.put(path, digest)
    assert not store.has(digest)
    os.truncate(path, MIB)
    with pytest.raises(CacheError, match="file changed while it was stored"):
        store.put(path, digest)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, or on a bad sector: the file is blamed, not the store."""
    with pytest.raises(CacheError, match="nothing cannot be read: No such file"):
        store.put(tmp_path / "nothing", "f" * 32)
    (tmp_path / "bad").write_bytes(b"bad")
    monkeypatch.setattr(os, "preadv", failing(errno.EIO))
    with pytest.raises(CacheError, match="bad cannot be read: Input/output error"):
        store.put(tmp_path / "bad", of_bytes(b"bad"))


def test_a_copy_that_went_wrong_is_not_the_blobs_fault(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When only the copy is bad there is no file, and the blob stays."""
    monkeypatch.setattr(sparse, "write", lambda *_: None)
    assert not store.fetch(DIGEST, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert store.has(DIGEST)


def test_a_blob_that_cannot_be_read_is_damaged(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector is as good as missing."""
    monkeypatch.setattr(os, "preadv", failing(errno.EIO))
    assert not store.fetch(DIGEST, tmp_path / "out")
    monkeypatch.undo()
    assert not store.has(DIGEST)


def test_a_blob_is_not_blamed_for_what_the_process_lacks(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors, or out of memory: absent for now, and still there afterwards."""
    monkeypatch.setattr(os, "preadv", failing(errno.ENOMEM))
    assert not store.fetch(DIGEST, tmp_path / "out")
    monkeypatch.undo()
    assert store.fetch(DIGEST, tmp_path / "out")


def test_no_room_at_the_destination_is_an_error_and_the_blob_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is said, naming the file, and leaves nothing."""
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    with pytest.raises(CacheError, match="out/file cannot be written: No space left"):
        store.fetch(DIGEST, tmp_path / "out/file")
    assert list((tmp_path / "out").iterdir()) == []
    assert store.has(DIGEST)


def test_a_full_store_is_an_error_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the store and what to do; no half blob appears."""
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with pytest.raises(CacheError, match="store cannot be written: No space left") as error:
        store.put_bytes(b"new")
    assert "BOOTSMITH_CACHE" in error.value.hint
    assert not store.has(of_bytes(b"new"))
    assert list((store.root / "tmp").iterdir()) == []


def test_a_store_where_none_can_be_is_an_error(tmp_path: Path, source: Path) -> None:
    """A file where a directory should be: said in words. Looking still answers."""
    store = Store(source / "below")
    for attempt in (
        lambda: store.put(source, DIGEST),
        lambda: store.put_sha256(source, SHA256),
        lambda: store.put_result("a" * 32, OUTPUTS),
    ):
        with pytest.raises(CacheError, match="source/below cannot be written"):
            attempt()
    assert not store.has(DIGEST)
    assert not store.fetch(DIGEST, tmp_path / "out")
    assert store.result("a" * 32) is None


def test_a_damaged_result_is_none(store: Store) -> None:
    """A result is checksummed: damaged, it is not known, and can be put again (V4)."""
    path = store.root / "results/aa" / ("a" * 32)
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 2]) + whole[position + 1 :])
        assert store.result("a" * 32) is None
        path.write_bytes(whole[:position])
        assert store.result("a" * 32) is None
    store.put_result("a" * 32, OUTPUTS)
    assert store.result("a" * 32) == OUTPUTS


def test_a_result_under_another_keys_name_is_none(store: Store) -> None:
    """Two results that change places are both found out: a result holds its key."""
    store.put_result("a1" * 16, {})
    one, other = (store.root / "results" / key[:2] / key for key in ("a" * 32, "a1" * 16))
    one.rename(one.with_name("third"))
    other.rename(one)
    one.with_name("third").rename(other)
    assert store.result("a" * 32) is None
    assert store.result("a1" * 16) is None


def test_a_download_that_is_not_what_it_should_be_is_refused(tmp_path: Path, source: Path) -> None:
    """Neither stored nor kept, and the error names both sums."""
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=f"has the SHA-256 {SHA256}, not {'0' * 64}"):
        store.put_sha256(source, "0" * 64)
    assert store.path_sha256("0" * 64) is None
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_download_is_noticed(store: Store, source: Path, damage: str) -> None:
    """Verifying puts it into quarantine; then it can be stored again (V6)."""
    DAMAGES[damage](download(store))
    assert not store.verify_sha256(SHA256)
    assert store.path_sha256(SHA256) is None
    assert files(store.root / "quarantine") == [SHA256]
    store.put_sha256(source, SHA256)
    assert store.verify_sha256(SHA256)
