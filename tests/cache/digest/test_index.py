"""cache/digest/index.py: what a file holds, chunk by chunk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.cache.digest import index
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.index import CHUNK, Index, index_of_bytes
from hypothesis import given
from hypothesis import strategies as st


def pattern(number: int) -> bytes:
    """Return a chunk: of zeros for 0."""
    return bytes([number]) * CHUNK


CONTENTS = st.tuples(st.lists(st.integers(0, 3), max_size=5), st.integers(0, 3)).map(
    lambda drawn: b"".join(map(pattern, drawn[0])) + bytes([drawn[1]]) * (drawn[1] * 1000)
)


@given(CONTENTS)
def test_an_index_tells_what_is_not_zeros(content: bytes) -> None:
    """Its chunks, put where they say, and zeros everywhere else, are the file."""
    found = index_of_bytes(content)
    rebuilt = bytearray(found.size)
    for chunk in found.chunks():
        piece = content[chunk.start : chunk.start + chunk.size]
        assert any(piece)
        rebuilt[chunk.start : chunk.start + chunk.size] = piece
    assert rebuilt == content
    assert found.is_sound()


@given(CONTENTS, CONTENTS)
def test_two_indexes_tell_what_differs(one: bytes, other: bytes) -> None:
    """Patching what differs turns a file, cut or stretched to the right length, into the other."""
    new, old = index_of_bytes(one), index_of_bytes(other)
    patched = bytearray(other[: len(one)].ljust(len(one), b"\0"))
    for chunk in new.differs(old):
        patched[chunk.start : chunk.start + chunk.size] = one[chunk.start : chunk.start + chunk.size]
    assert patched == one
    assert list(new.differs(new)) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        index_of_bytes(b"abc").content[:-1],
        index_of_bytes(b"abc").content[16:],
        index_of_bytes(pattern(1) + b"x").content[16:],
        bytes(16) + index_of_bytes(b"abc").content,
    ],
)
def test_what_is_no_index_is_told(content: bytes) -> None:
    """Too many digests for the length, too few, or none at all."""
    assert not Index(content).is_sound()


def test_the_index_of_a_file_just_fingerprinted_is_at_hand(tmp_path: Path) -> None:
    """Who stores the file next need not read it; of files of one chunk nothing is kept."""
    (tmp_path / "big").write_bytes(pattern(1) + b"more")
    (tmp_path / "small").write_bytes(b"small")
    found = index.recall(fingerprint(tmp_path / "big"))
    assert found is not None
    assert found.content == index_of_bytes(pattern(1) + b"more").content
    assert index.recall(fingerprint(tmp_path / "small")) is None


def test_what_is_at_hand_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(index, "KEPT", 4 * len(index_of_bytes(bytes(CHUNK + 1)).content))
    monkeypatch.setattr(index, "_recent", {})
    digests = []
    for number in range(10):
        with (tmp_path / "file").open("wb") as file:
            file.write(os.urandom(10))
            file.truncate(CHUNK + number + 1)
        digests.append(fingerprint(tmp_path / "file"))
    assert [index.recall(digest) is not None for digest in digests] == [False] * 6 + [True] * 4
