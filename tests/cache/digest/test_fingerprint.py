"""cache/digest/fingerprint.py: two files have one fingerprint when their bytes are the same, and only then."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import CHUNK, fingerprint, of_bytes, of_descriptor
from hypothesis import given, settings
from hypothesis import strategies as st

EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 4096]


def write_sparse(path: Path, size: int, pieces: list[tuple[int, bytes]]) -> bytes:
    """Write pieces into a file with holes between them; return all it holds."""
    dense = bytearray(size)
    with path.open("wb") as file:
        file.truncate(size)
        for start, piece in pieces:
            fitting = piece[: max(0, size - start)]
            file.seek(start)
            file.write(fitting)
            dense[start : start + len(fitting)] = fitting
    return bytes(dense)


def test_fingerprints_of_files_stay_what_they_are(tmp_path: Path) -> None:
    """A new version of bootsmith trusts what an old one recorded."""
    assert of_bytes(b"") == "2c0a8a99dc147d5445c3b49d035665b2"
    assert of_bytes(b"abc") == "00bb8f5bbcc6694e541b81f687d45e2f"
    assert of_bytes(bytes(range(256)) * 12345) == "a73f9dde4b95c7dd7bb4618ff3661753"
    with (tmp_path / "hole").open("wb") as file:
        file.truncate((1 << 40) + 5)
    assert fingerprint(tmp_path / "hole") == "d42aa150bc37b0d3ebaa71b4fa4474b0"


@pytest.mark.parametrize("size", EDGES)
def test_a_file_has_the_fingerprint_of_its_bytes(tmp_path: Path, size: int) -> None:
    """Around the edges of chunks too, and for an empty file."""
    content = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(content)
    assert fingerprint(tmp_path / "file") == of_bytes(content)


@given(
    st.integers(0, 4 * CHUNK),
    st.lists(st.tuples(st.integers(0, 4 * CHUNK), st.binary(max_size=20)), max_size=4),
)
@settings(max_examples=40)
def test_a_hole_equals_zeros(tmp_path: Path, size: int, pieces: list[tuple[int, bytes]]) -> None:
    """A sparse file, a dense copy of it and its bytes in memory have one fingerprint."""
    content = write_sparse(tmp_path / "sparse", size, pieces)
    (tmp_path / "dense").write_bytes(content)
    assert fingerprint(tmp_path / "sparse") == fingerprint(tmp_path / "dense") == of_bytes(content)


@pytest.mark.parametrize("size", EDGES[1:])
def test_the_number_of_zeros_counts(tmp_path: Path, size: int) -> None:
    """Files of zeros that differ in length differ."""
    found = set()
    for length in (size - 1, size, size + 1):
        with (tmp_path / "hole").open("wb") as file:
            file.truncate(length)
        found.add(fingerprint(tmp_path / "hole"))
    assert len(found) == 3


def test_the_place_of_data_between_holes_counts(tmp_path: Path) -> None:
    """The same bytes at another offset are another content."""
    found = set()
    for start in (0, 1, CHUNK, 2 * CHUNK + 1):
        write_sparse(tmp_path / "file", 3 * CHUNK, [(start, b"data")])
        found.add(fingerprint(tmp_path / "file"))
    assert len(found) == 4


def test_chunks_that_change_places_show() -> None:
    """Order is content."""
    one, other = b"1" * CHUNK, b"2" * CHUNK
    assert of_bytes(one + other) != of_bytes(other + one)


def test_name_mode_and_time_of_a_file_do_not_count(tmp_path: Path) -> None:
    """Touching an input changes nothing (V2)."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    before = fingerprint(file)
    file.chmod(0o600)
    os.utime(file, (1, 1))
    assert fingerprint(file.rename(tmp_path / "other")) == before


def test_a_link_given_itself_is_followed(tmp_path: Path) -> None:
    """A symlink to a file or a tree stands for what it leads to."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_bytes(b"content")
    (tmp_path / "to-file").symlink_to("tree/file")
    (tmp_path / "to-tree").symlink_to("tree")
    assert fingerprint(tmp_path / "to-file") == of_bytes(b"content")
    assert fingerprint(tmp_path / "to-tree") == fingerprint(tmp_path / "tree")


def test_what_is_missing_is_an_error(tmp_path: Path) -> None:
    """A missing input, or a link to nothing, has no fingerprint (V7)."""
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("missing", "dangling", "missing/below"):
        with pytest.raises(FileNotFoundError):
            fingerprint(tmp_path / name)


def test_special_files_are_told_by_type_and_number() -> None:
    """A device given itself is never opened, and no two are alike."""
    assert fingerprint("/dev/null") != fingerprint("/dev/zero")


def test_a_file_cut_short_while_it_is_read_is_nobodys_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is hashed then is neither the old content nor the new, and reading ends."""
    file = tmp_path / "file"
    content = b"x" * (3 * CHUNK)
    file.write_bytes(content)
    real = os.preadv

    def cutting(*arguments: object) -> int:
        os.truncate(file, CHUNK + 10)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "preadv", cutting)
    with file.open("rb") as reading:
        found = of_descriptor(reading.fileno())
    assert found not in (of_bytes(content), of_bytes(content[: CHUNK + 10]))
