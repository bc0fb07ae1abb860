"""cache/store.py: what comes out is what went in, or nothing does."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import peer
import pytest
from bootsmith.cache import index, sparse
from bootsmith.cache.errors import CacheError
from bootsmith.cache.fingerprint import fingerprint, of_bytes
from bootsmith.cache.lock import Lock
from bootsmith.cache.store import Store
from hypothesis import given, settings
from hypothesis import strategies as st

MIB = 1 << 20
WORDS = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(40_000))
CONTENT = os.urandom(MIB) + WORDS[:MIB] + b"the rest, of less than a chunk"
"""One chunk that cannot be packed, one that can, and a short one."""
DIGEST = of_bytes(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ABSENT = "0" * 32
OUTPUTS = {"image": {"hash": DIGEST, "size": len(CONTENT), "file": "caf\udce9"}}
PUT_AND_FETCH = """
import sys
from pathlib import Path
from bootsmith.cache.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
for number in range(20):
    store.put(Path(sys.argv[2]), sys.argv[3])
    store.put_result("a" * 32, {"image": {"hash": sys.argv[3], "size": 1}})
    assert store.fetch(sys.argv[3], Path(sys.argv[4]))
    assert store.result("a" * 32) is not None
"""
DIE_STORING = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache import shelf
from bootsmith.cache.store import Store
def die(descriptor, content):
    os.write(descriptor, bytes(content[:100]))
    os.kill(os.getpid(), signal.SIGKILL)
shelf.write_all = die
Store(Path(sys.argv[1])).put(Path(sys.argv[2]), sys.argv[3])
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to be stored."""
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def store(tmp_path: Path, source: Path) -> Store:
    """A store that holds `source` as a blob and as a download, and a result that names it."""
    found = Store(tmp_path / "store")
    found.put(source, DIGEST)
    found.put_sha256(source, SHA256)
    found.put_result("a" * 32, OUTPUTS)
    return found


def pieces(store: Store) -> list[Path]:
    """Return the files that hold the blob of `source`: its index, then its chunks."""
    names = store.chunks(DIGEST)
    assert names is not None
    found = [store.root / "indexes" / DIGEST[:2] / DIGEST]
    for name in names:
        found += (store.root / "chunks" / name[:2]).glob(f"{name}*")
    assert len(found) == 4
    return found


@pytest.fixture
def shared_memory() -> Iterator[Path]:
    """A folder on another file system than temporary files are on."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def files(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def download(store: Store) -> Path:
    """Return where the download of `source` lies."""
    return store.root / "sha256" / SHA256[:2] / SHA256


def overwrite(path: Path, content: bytes) -> None:
    """Change a stored file, though it is meant never to be."""
    path.chmod(0o644)
    path.write_bytes(content)


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    overwrite(path, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "bit flip": flip,
    "truncation": lambda path: overwrite(path, path.read_bytes()[:-1]),
    "truncation to a block": lambda path: overwrite(path, path.read_bytes()[: path.stat().st_size // 2]),
    "a byte more": lambda path: overwrite(path, path.read_bytes() + b"\0"),
    "zeros after a power cut": lambda path: overwrite(path, bytes(path.stat().st_size)),
}


# -- blobs


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
    monkeypatch.setattr(os, "preadv", fail(errno.EIO))
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


def fail(number: int) -> Callable[..., int]:
    """Return a function that fails as the kernel does."""

    def failing(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return failing


def test_a_blob_that_cannot_be_read_is_damaged(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector is as good as missing."""
    monkeypatch.setattr(os, "preadv", fail(errno.EIO))
    assert not store.fetch(DIGEST, tmp_path / "out")
    monkeypatch.undo()
    assert not store.has(DIGEST)


def test_a_blob_is_not_blamed_for_what_the_process_lacks(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors, or out of memory: absent for now, and still there afterwards."""
    monkeypatch.setattr(os, "preadv", fail(errno.ENOMEM))
    assert not store.fetch(DIGEST, tmp_path / "out")
    monkeypatch.undo()
    assert store.fetch(DIGEST, tmp_path / "out")


def test_no_room_at_the_destination_is_an_error_and_the_blob_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is said, naming the file, and leaves nothing."""
    monkeypatch.setattr(os, "pwrite", fail(errno.ENOSPC))
    with pytest.raises(CacheError, match="out/file cannot be written: No space left"):
        store.fetch(DIGEST, tmp_path / "out/file")
    assert list((tmp_path / "out").iterdir()) == []
    assert store.has(DIGEST)


def test_a_full_store_is_an_error_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the store and what to do; no half blob appears."""
    monkeypatch.setattr(os, "write", fail(errno.ENOSPC))
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
        lambda: store.result(name),
        lambda: store.path_sha256(name),
        lambda: store.put_sha256(source, name),
    ):
        with pytest.raises(ValueError, match="not a digest"):
            attempt()


# -- onto an older version


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
    with Lock(kept, create=False) if why == "held" else nullcontext():
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


# -- where blocks can be shared


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


# -- together with others


def test_processes_may_use_one_store_at_once(source: Path, tmp_path: Path) -> None:
    """Whoever is first stores, all fetch, and nothing is left over (W9)."""
    peers = [peer.start(PUT_AND_FETCH, tmp_path / "store", source, DIGEST, tmp_path / f"out{n}") for n in range(4)]
    for process in peers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in peers:
        peer.finish(process)
    for number in range(4):
        assert (tmp_path / f"out{number}").read_bytes() == CONTENT
    assert list((tmp_path / "store/tmp").iterdir()) == []


def test_a_killed_process_leaves_no_blob_and_its_rest_is_swept_away(source: Path, tmp_path: Path) -> None:
    """SIGKILL while storing: the next one stores, and removes what was left (C8, L11)."""
    root = tmp_path / "store"
    process = peer.start(DIE_STORING, root, source, DIGEST)
    with process:
        process.communicate(timeout=peer.TIMEOUT)
    assert len(list((root / "tmp").iterdir())) == 1
    store = Store(root)
    assert not store.has(DIGEST)
    store.put(source, DIGEST)
    assert list((root / "tmp").iterdir()) == []
    assert store.fetch(DIGEST, tmp_path / "out")


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


# -- results


def test_a_result_is_what_was_put(store: Store) -> None:
    """Roles, digests and whatever else stands there come back; the last one put counts."""
    assert store.result("a" * 32) == OUTPUTS
    store.put_result("a" * 32, {})
    assert store.result("a" * 32) == {}


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


# -- downloads


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
