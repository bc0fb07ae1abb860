"""cache/files/sealed.py: whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.cache.files import sealed

BODY = b"one\ntwo\0three\xff"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sealed file."""
    path = tmp_path / "file"
    sealed.write(path, "thing 1", BODY)
    return path


def test_what_was_written_is_read(file: Path) -> None:
    """Any bytes come back as they were."""
    assert sealed.read(file, "thing 1") == BODY


def test_an_empty_body_is_not_an_absent_file(tmp_path: Path) -> None:
    """An empty body is b"", a missing file None."""
    sealed.write(tmp_path / "empty", "thing 1", b"")
    assert sealed.read(tmp_path / "empty", "thing 1") == b""
    assert sealed.read(tmp_path / "missing", "thing 1") is None
    assert sealed.read(tmp_path, "thing 1") is None


@pytest.mark.parametrize("kind", ["thing 2", "other 1", ""])
def test_another_kind_or_version_is_absent(file: Path, kind: str) -> None:
    """A file of another kind, or another version of its form, is not read."""
    assert sealed.read(file, kind) is None


def test_any_flipped_bit_makes_it_absent(file: Path) -> None:
    """Damage anywhere, in the checksum's line too, is noticed (V4)."""
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        assert sealed.read(file, "thing 1") is None, position


def test_any_truncation_makes_it_absent(file: Path) -> None:
    """A file cut short anywhere, or grown, is not read."""
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert sealed.read(file, "thing 1") is None, length
    file.write_bytes(whole + b"\n")
    assert sealed.read(file, "thing 1") is None


def test_a_failed_write_leaves_the_old_file_and_nothing_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at the last moment costs the new content, never the old."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        sealed.write(file, "thing 1", b"new")
    assert sealed.read(file, "thing 1") == BODY
    assert list(file.parent.iterdir()) == [file]
