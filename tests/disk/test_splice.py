"""Sparse copies and patches: equal bytes, holes kept, only differences written."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
from bootsmith.cache.digest.index import index_of
from bootsmith.tasks.disk import splice

MIB = 1 << 20


def sparse(path: Path, size: int, pieces: dict[int, bytes]) -> Path:
    """Make a file with data here and there."""
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in pieces.items():
            file.seek(at)
            file.write(data)
    return path


def occupied(path: Path) -> int:
    """Return the bytes a file takes."""
    return path.stat().st_blocks * 512


def test_a_copy_has_the_same_bytes_and_the_same_holes(tmp_path: Path) -> None:
    """A 10 GiB file holding 2 MiB stays one that occupies 2 MiB (W2)."""
    source = sparse(tmp_path / "a", 10 << 30, {0: b"x" * MIB, 5 << 30: b"y" * MIB})
    target = tmp_path / "b"
    splice.copy_file(source, target)
    assert target.stat().st_size == 10 << 30
    assert occupied(target) <= occupied(source) + MIB
    with target.open("rb") as file:
        assert file.read(MIB) == b"x" * MIB
        file.seek(5 << 30)
        assert file.read(MIB + 10) == b"y" * MIB + bytes(10)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_copy_works_where_the_kernel_cannot_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Between file systems, and on old kernels, the bytes go through us."""

    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    data = random.Random(1).randbytes(3 * MIB + 17)
    source = sparse(tmp_path / "a", 8 * MIB, {4096: data})
    splice.copy_file(source, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


def test_a_copy_that_fails_for_another_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is not mistaken for a kernel that cannot copy."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", fail)
    source = sparse(tmp_path / "a", MIB, {0: b"data"})
    with pytest.raises(OSError, match="No space left"):
        splice.copy_file(source, tmp_path / "b")


@pytest.mark.parametrize("seed", range(12))
def test_whatever_a_file_held_before_it_becomes_equal(tmp_path: Path, seed: int) -> None:
    """A patched file has the bytes and about the holes of a fresh copy, and what stands around it is untouched."""
    chance = random.Random(seed)
    wanted = {chance.randrange(6 * MIB): chance.randbytes(chance.randrange(1, 2 * MIB)) for _ in range(4)}
    stale = {chance.randrange(9 * MIB): chance.randbytes(chance.randrange(1, 2 * MIB)) for _ in range(4)}
    source = sparse(tmp_path / "a", 8 * MIB, wanted)
    size = chance.choice([0, 5 * MIB, 12 * MIB])
    target = sparse(tmp_path / "b", size, {MIB + at: data for at, data in stale.items()})
    before = target.read_bytes()
    with source.open("rb") as new, target.open("r+b") as old:
        splice.make_equal(new.fileno(), old.fileno(), target_at=MIB)
    found = target.read_bytes()
    size = source.stat().st_size
    assert found[MIB : MIB + size] == source.read_bytes()
    assert found[:MIB] == before[:MIB].ljust(MIB, b"\0")
    assert found[MIB + size :] == before[MIB + size :]


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    """One changed byte in 64 MiB costs one chunk."""
    data = random.Random(2).randbytes(64 * MIB)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(data)
    target.write_bytes(data[: 9 * MIB] + b"?" + data[9 * MIB + 1 :])
    with source.open("rb") as new, target.open("r+b") as old:
        assert splice.make_equal(new.fileno(), old.fileno()) == splice.CHUNK
        assert splice.make_equal(new.fileno(), old.fileno()) == 0
    assert target.read_bytes() == data


def test_a_hole_in_the_source_becomes_a_hole_in_the_target(tmp_path: Path) -> None:
    """Patching gives back what is no longer used."""
    source = sparse(tmp_path / "a", 16 * MIB, {0: b"x" * MIB})
    target = tmp_path / "b"
    target.write_bytes(b"z" * (16 * MIB))
    with source.open("rb") as new, target.open("r+b") as old:
        splice.make_equal(new.fileno(), old.fileno())
    assert target.read_bytes() == source.read_bytes()
    assert occupied(target) <= 2 * MIB


def test_a_file_becomes_another_by_what_both_are_known_to_hold(tmp_path: Path) -> None:
    """Only chunks that differ are written, holes stay holes, and it becomes as long (X5)."""
    source = sparse(tmp_path / "a", 4 * MIB + 5, {MIB: b"content", 4 * MIB: b"end"})
    for held in (b"", b"q" * (7 * MIB), source.read_bytes()[: 2 * MIB]):
        target = tmp_path / "old"
        target.write_bytes(held)
        with source.open("rb") as one, target.open("rb") as other:
            indexes = index_of(one.fileno()), index_of(other.fileno())
        splice.become(source, indexes[0], target, indexes[1])
        assert target.read_bytes() == source.read_bytes()
        assert target.stat().st_blocks <= 2 * MIB // 512 + 16
