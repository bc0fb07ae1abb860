"""cache/store/verification.py: exactly what is damaged is named."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import of_bytes
from bootsmith.cache.store.store import Store

MIB = 1 << 20


def content(number: int) -> bytes:
    """Return the content of a blob: every second one packs, every third has a second chunk that others share."""
    start = b"%d " % number * 500 if number % 2 else random.Random(number).randbytes(2000)
    return start if number % 3 else start + bytes(MIB - len(start)) + b"shared by %d" % (number % 4) * 300


def fill(store: Store, count: int) -> dict[str, str]:
    """Put so many blobs, a result for each, and some downloads; return their digests by what they hold."""
    found = {}
    for number in range(count):
        digest = store.put_bytes(content(number))
        store.put_result(of_bytes(b"%d" % number), {"image": {"hash": digest, "size": len(content(number))}})
        found[digest] = str(number)
    for number in range(count // 50):
        path = store.root.parent / "download"
        path.write_bytes(content(number))
        store.put_sha256(path, hashlib.sha256(content(number)).hexdigest())
    return found


def stored(store: Store, kind: str) -> list[Path]:
    """Return the files of one kind, sorted."""
    return sorted(path for path in (store.root / kind).glob("??/*"))


def overwrite(path: Path, data: bytes) -> None:
    """Change a file that is meant never to be changed."""
    path.chmod(0o644)
    path.write_bytes(data)


def flip(path: Path, other: Path) -> None:
    """Change one bit, anywhere."""
    assert other
    data = bytearray(path.read_bytes())
    place = random.Random(path.name).randrange(len(data) * 8)
    data[place // 8] ^= 1 << place % 8
    overwrite(path, data)


def swap(path: Path, other: Path) -> None:
    """Let two files change places."""
    one, two = path.read_bytes(), other.read_bytes()
    overwrite(path, two)
    overwrite(other, one)


DAMAGES: list[Callable[[Path, Path], None]] = [
    flip,
    lambda path, _: overwrite(path, path.read_bytes()[: random.Random(path.name).randrange(path.stat().st_size)]),
    lambda path, _: overwrite(path, b""),
    swap,
]


def name(path: Path) -> str:
    """Return what a stored file is called."""
    kind = {"indexes": "blobs"}.get(path.parent.parent.name, path.parent.parent.name)
    return f"{kind}/{path.name.removesuffix('.zst')}"


def damage(store: Store, count: int) -> set[str]:
    """Damage so many files of each kind, in each of the ways in turn; return the names of all that cannot be used."""
    chosen = random.Random(count)
    named: set[str] = set()
    for kind in ("indexes", "chunks", "results", "sha256"):
        found = stored(store, kind)
        paths = chosen.sample(found, min(2 * count, len(found) - len(found) % 2))
        for number, (path, other) in enumerate(zip(paths[::2], paths[1::2], strict=True)):
            way = DAMAGES[number % len(DAMAGES)]
            way(path, other)
            named.update([name(path), name(other)] if way is swap else [name(path)])
    return named


@pytest.mark.soak(ci=60, whole=4000)
def test_exactly_what_is_damaged_is_named(tmp_path: Path, rounds: int) -> None:
    """Flipped, cut, emptied or swapped: each is named, nothing else is, and none of it is ever handed over (V4, V6)."""
    store = Store(tmp_path / "store")
    blobs = fill(store, rounds)
    needed = {digest: store.chunks(digest) or () for digest in blobs}
    assert list(store.verify()) == []
    damaged = damage(store, rounds // 4)
    spoiled = {
        f"blobs/{digest}" for digest, chunks in needed.items() if any(f"chunks/{chunk}" in damaged for chunk in chunks)
    }
    assert {each.name for each in store.verify()} == damaged | spoiled
    for digest, number in blobs.items():
        again = Store(store.root).get_bytes(digest)
        assert (again is None) is (f"blobs/{digest}" in damaged | spoiled)
        assert again in (None, content(int(number)))
        key = of_bytes(number.encode())
        assert (store.result(key) is None) is (f"results/{key}" in damaged)


def test_nothing_is_moved_unless_told_to(tmp_path: Path) -> None:
    """Looking changes nothing; told to, what is named goes to quarantine, and what is stored again is whole."""
    store = Store(tmp_path / "store")
    blobs = fill(store, 20)
    damage(store, 4)
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    first = list(store.verify())
    assert {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()} == before
    assert list(store.verify(quarantine=True)) == first
    assert list(store.verify()) == []
    assert {path.name for path in (store.root / "quarantine").iterdir()} == {each.path.name for each in first}
    for digest, number in blobs.items():
        assert store.put_bytes(content(int(number))) == digest
        assert store.get_bytes(digest) == content(int(number))


def test_why_is_said(tmp_path: Path) -> None:
    """A blob that lacks a chunk says which."""
    store = Store(tmp_path / "store")
    digest = store.put_bytes(b"content")
    (chunk,) = stored(store, "chunks")
    chunk.unlink()
    (found,) = store.verify()
    assert found.name == f"blobs/{digest}"
    assert found.why == f"its chunk {chunk.name} is damaged or missing"


def test_what_is_not_ours_is_passed_over(tmp_path: Path) -> None:
    """Strange names, other folders, a store that is not there: no damage."""
    store = Store(tmp_path / "store")
    assert list(store.verify()) == []
    store.put_bytes(b"content")
    (store.root / "chunks/zz").mkdir()
    for path in ("chunks/note.txt", "chunks/zz/strange", "blobs", "chunks/" + "ab" * 16):
        (store.root / path).write_bytes(b"?")
    assert list(store.verify()) == []


def test_what_vanishes_meanwhile_is_no_damage(tmp_path: Path) -> None:
    """Somebody's clean-up at the same time makes no false alarm."""
    store = Store(tmp_path / "store")
    fill(store, 10)
    found = store.verify()
    overwrite(stored(store, "chunks")[0], b"damaged")
    assert next(found).why == "does not match its name"
    for kind in ("indexes", "chunks", "results", "sha256"):
        shutil.rmtree(store.root / kind, ignore_errors=True)
    assert list(found) == []


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector counts as damage, with the kernel's words."""
    store = Store(tmp_path / "store")
    store.put_bytes(b"content")

    def bad(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", bad)
    assert [each.why for each in store.verify()] == ["cannot be read: Input/output error"] * 2
