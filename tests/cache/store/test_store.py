"""cache/store/store.py: what comes out is what went in, or nothing does."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest
from bootsmith.cache.digest import index
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.store.store import Store

from tests.support.stored_files import ABSENT, CONTENT, DIGEST, MIB, OUTPUTS, SHA256, download, files, pieces


def test_what_was_put_is_fetched(store: Store, tmp_path: Path) -> None:
    """The content comes back in a new file of mode 0644."""
    assert store.has(DIGEST)
    assert store.fetch(DIGEST, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o644


def test_another_process_fetches_it_too(store: Store, tmp_path: Path) -> None:
    """A store is its directory: a new object on it knows all."""
    assert Store(store.root).fetch(DIGEST, tmp_path / "out")
    assert Store(store.root).result("a" * 32) == OUTPUTS


def test_what_is_not_there_is_not_fetched(store: Store, tmp_path: Path) -> None:
    """False, and no file; of a store that does not exist as well."""
    for where in (store, Store(tmp_path / "nowhere")):
        assert not where.has(ABSENT)
        assert not where.fetch(ABSENT, tmp_path / "out")
        assert where.result(ABSENT) is None
        assert where.path_sha256("0" * 64) is None
        assert not where.verify_sha256("0" * 64)
        assert where.get_bytes(ABSENT) is None
        assert where.sha256(ABSENT) is None
        assert where.chunks(ABSENT) is None
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "nowhere").exists()


def test_the_fetched_file_is_nobody_elses(store: Store, tmp_path: Path) -> None:
    """Changing what was fetched, or what was put, changes nothing in the store."""
    store.fetch(DIGEST, tmp_path / "out")
    (tmp_path / "out").write_bytes(b"edited")
    (tmp_path / "source").write_bytes(b"edited")
    assert store.fetch(DIGEST, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == CONTENT


def test_the_destination_is_replaced_at_once(store: Store, tmp_path: Path) -> None:
    """Who has the old file open keeps it; folders above are made."""
    old = tmp_path / "deep/er/out"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    with old.open("rb") as reading:
        assert store.fetch(DIGEST, old)
        assert reading.read() == b"old"
    assert old.read_bytes() == CONTENT
    assert store.fetch(DIGEST, tmp_path / "new/folder/out")


def test_a_sparse_file_stays_sparse(store: Store, tmp_path: Path) -> None:
    """Through the store and back, holes remain (W2)."""
    with (tmp_path / "sparse").open("wb") as file:
        file.write(b"start")
        file.truncate(64 * MIB)
    digest = fingerprint(tmp_path / "sparse")
    store.put(tmp_path / "sparse", digest)
    assert store.fetch(digest, tmp_path / "out")
    assert fingerprint(tmp_path / "out") == digest
    assert (tmp_path / "out").stat().st_blocks * 512 < MIB


def test_putting_again_changes_nothing(store: Store, source: Path) -> None:
    """A blob is written once: the same inodes stay."""
    before = [path.stat() for path in pieces(store)]
    store.put(source, DIGEST)
    Store(store.root).put(source, DIGEST)
    after = [path.stat() for path in pieces(store)]
    assert [(one.st_ino, one.st_ctime_ns) for one in before] == [(one.st_ino, one.st_ctime_ns) for one in after]


def test_what_packs_is_packed(store: Store) -> None:
    """A chunk is kept as a zstd frame where that is smaller, by the name the zstd program knows; else as it is."""
    assert [path.suffix for path in pieces(store)] == ["", "", ".zst", ""]
    plain, packed = pieces(store)[1:3]
    assert plain.read_bytes() == CONTENT[:MIB]
    assert packed.stat().st_size < MIB // 4
    done = subprocess.run(["zstd", "-dc", packed], check=True, capture_output=True)
    assert done.stdout == CONTENT[MIB : 2 * MIB]


def test_an_index_is_named_by_its_own_digest(store: Store) -> None:
    """It is the digests of the chunks and the length; their digest is the blob's fingerprint (cache-format.md)."""
    content = pieces(store)[0].read_bytes()
    assert content == index.index_of_bytes(CONTENT).content
    assert len(content) == 3 * 16 + 8
    assert index.Index(content).digest == DIGEST


def test_blobs_share_chunks_and_zeros_cost_nothing(store: Store, tmp_path: Path) -> None:
    """A disk brings nothing new when its partitions are there: only its index is written."""
    before = files(store.root / "chunks")
    disk = bytes(MIB) + CONTENT[: 2 * MIB] + bytes(3 * MIB) + CONTENT
    (tmp_path / "disk").write_bytes(disk)
    store.put(tmp_path / "disk", of_bytes(disk))
    assert files(store.root / "chunks") == before
    assert store.weight(of_bytes(disk)) == 2 * MIB + len(CONTENT)
    assert store.fetch(of_bytes(disk), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == disk
    assert (tmp_path / "out").stat().st_blocks * 512 < len(disk) - 3 * MIB


def test_what_is_there_already_is_not_read_again(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storing a disk whose fingerprint was just made reads only the chunks that are new."""
    disk = tmp_path / "disk"
    disk.write_bytes(CONTENT[: 2 * MIB] + b"new" * 1000)
    digest = fingerprint(disk)
    read: list[int] = []
    real = os.preadv

    def noting(descriptor: int, buffers: list[memoryview], start: int) -> int:
        size = real(descriptor, buffers, start)
        if os.path.samestat(os.fstat(descriptor), disk.stat()):
            read.append(size)
        return size

    monkeypatch.setattr(os, "preadv", noting)
    store.put(disk, digest)
    assert sum(read) == 3000
    assert store.fetch(digest, tmp_path / "out")


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB])
def test_bytes_are_kept_as_files_are(tmp_path: Path, size: int) -> None:
    """What was put from memory is fetched as a file, and the other way round; also nothing at all."""
    store = Store(tmp_path / "store")
    content = (os.urandom(1000) * 9500)[:size]
    digest = store.put_bytes(content)
    assert digest == of_bytes(content)
    assert store.has(digest)
    assert store.get_bytes(digest) == content
    assert store.sha256(digest) == hashlib.sha256(content).hexdigest()
    assert store.fetch(digest, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == content


@pytest.mark.parametrize("mask", [0, 0o077])
def test_stored_files_are_read_only_and_images_private(tmp_path: Path, source: Path, mask: int) -> None:
    """Blobs may hold password hashes: others cannot get at them, whatever the umask; nobody writes by accident."""
    before = os.umask(mask)
    try:
        store = Store(tmp_path / "store")
        store.put(source, DIGEST)
        store.put_sha256(source, SHA256)
        store.put_result("a" * 32, OUTPUTS)
    finally:
        os.umask(before)
    for path in (*pieces(store), download(store)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    for name in ("indexes", "chunks", "results", "tmp"):
        assert stat.S_IMODE((store.root / name).stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 32, "a" * 31, "a" * 33, "a" * 31 + "\n"])
def test_what_is_no_digest_is_refused(store: Store, source: Path, tmp_path: Path, name: str) -> None:
    """A name out of somebody's lock file never leads out of the store."""
    for attempt in (
        lambda: store.has(name),
        lambda: store.put(source, name),
        lambda: store.fetch(name, tmp_path / "out"),
        lambda: store.get_bytes(name),
        lambda: store.sha256(name),
        lambda: store.chunks(name),
        lambda: store.weight(name),
        lambda: store.result(name),
        lambda: store.path_sha256(name),
        lambda: store.put_sha256(source, name),
    ):
        with pytest.raises(ValueError, match="not a digest"):
            attempt()


def test_a_store_deleted_meanwhile_is_made_again(store: Store, source: Path, tmp_path: Path) -> None:
    """Nothing in the store is needed: it may go at any time."""
    store.root.rename(tmp_path / "gone")
    store.put(source, DIGEST)
    assert store.fetch(DIGEST, tmp_path / "out")
    store.sync()


def test_backup_programs_are_told_to_pass_by(store: Store) -> None:
    """The store carries the tag of the Cache Directory Tagging specification."""
    assert (store.root / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")


def test_sync_makes_durable_what_was_written(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file written and every folder it lies in is synced, once; of a store only read, nothing."""
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    store = Store(tmp_path / "store")
    store.put(source, DIGEST)
    store.put_result("a" * 32, OUTPUTS)
    assert synced == []
    store.sync()
    wanted = {str(path) for piece in pieces(store) for path in (piece, piece.parent)}
    assert wanted | {str(store.root / "results/aa" / ("a" * 32))} <= set(synced)
    assert len(synced) == len(set(synced))
    synced.clear()
    store.sync()
    assert Store(store.root).fetch(DIGEST, tmp_path / "out")
    Store(store.root).sync()
    assert synced == []


def test_a_result_is_what_was_put(store: Store) -> None:
    """Roles, digests and whatever else stands there come back; the last one put counts."""
    assert store.result("a" * 32) == OUTPUTS
    store.put_result("a" * 32, {})
    assert store.result("a" * 32) == {}


def test_a_download_is_found_by_its_sha256(store: Store) -> None:
    """As a file to read."""
    found = store.path_sha256(SHA256)
    assert found is not None
    assert found.read_bytes() == CONTENT


def test_downloads_can_be_read_by_others(store: Store) -> None:
    """Package tools read them as a user of their own."""
    before = os.umask(0o022)
    os.umask(before)
    for folder in (download(store).parent, download(store).parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755 & ~before
