"""cache/store/record.py: a record says exactly what was written, or nothing."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from bootsmith.cache.digest import key as keys
from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import sealed
from bootsmith.cache.store import record as records
from bootsmith.cache.store.record import Record

PARTS: dict[str, Any] = {
    "name": "convert/qcow2",
    "params": {"compress": "zstd", "names": ["caf\udce9"]},
    "inputs": {"disk": "0" * 32},
}
RECORD = Record(
    stage="convert/qcow2",
    key=keys.key(PARTS),
    parts=PARTS,
    outputs={"image": {"file": "minimal.qcow2", "hash": "1" * 32, "size": 12345}},
    seconds=1.5,
    cpu=2.25,
    peak=1 << 30,
    built=1_700_000_000.25,
    how="restored",
    log="convert+qcow2.log",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A record on disk."""
    path = tmp_path / "records/convert+qcow2.json"
    records.write(path, RECORD)
    return path


def test_what_was_written_is_read(file: Path) -> None:
    """Every field comes back, file names that are not UTF-8 too."""
    assert records.read(file) == RECORD


def test_writing_again_gives_the_same_bytes(file: Path) -> None:
    """A record read and written is the same file."""
    before = file.read_bytes()
    found = records.read(file)
    assert found is not None
    records.write(file, found)
    assert file.read_bytes() == before


def test_the_key_can_be_told_again_from_the_parts(tmp_path: Path) -> None:
    """Going through the file changes no part, so that old and new parts can be compared."""
    parts = {"params": MappingProxyType({"a": (1, 2.5, None, True), "b": {"c": "x"}}), "outputs": ("one",)}
    records.write(tmp_path / "record", RECORD._replace(parts=parts))
    found = records.read(tmp_path / "record")
    assert found is not None
    assert keys.key(found.parts) == keys.key(parts)
    assert keys.diff(found.parts, parts) == []


def test_a_record_is_of_this_boot_unless_it_says_otherwise(file: Path) -> None:
    """Who reads a record can tell whether the host was restarted since."""
    assert Record("stage", "key", {}, {}).boot_id == records.boot_id()
    records.write(file, RECORD._replace(boot_id="an earlier one"))
    found = records.read(file)
    assert found is not None
    assert found.boot_id != records.boot_id()


def test_a_missing_record_is_none(tmp_path: Path) -> None:
    """No file, no record; a directory in its place neither."""
    assert records.read(tmp_path / "missing") is None
    assert records.read(tmp_path) is None


def test_a_damaged_record_is_none(file: Path) -> None:
    """Any flipped bit, any cut, and there is no record (V4)."""
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert records.read(file) is None, position
        file.write_bytes(whole[:position])
        assert records.read(file) is None, position


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"stage": "x"}', b'{"unheard": "of"}', b"\xff"])
def test_a_whole_file_that_is_no_record_is_none(tmp_path: Path, body: bytes) -> None:
    """What other code wrote under this name and checksum is not taken for a record."""
    sealed.write(tmp_path / "record", records.KIND, body)
    assert records.read(tmp_path / "record") is None


def test_a_record_of_another_version_is_none(file: Path) -> None:
    """A form this code does not know is not guessed at."""
    body = sealed.read(file, records.KIND)
    assert body is not None
    sealed.write(file, "record 0", body)
    assert records.read(file) is None


def test_a_half_written_record_is_not_in_its_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed or failing half-way, the writer leaves the old record whole."""

    def stop(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(CacheError, match="cannot be written: No space left on device"):
        records.write(file, RECORD._replace(key="f" * 32))
    assert records.read(file) == RECORD


def test_a_removed_record_is_gone(file: Path) -> None:
    """Removing is done once and harmless twice."""
    records.remove(file)
    assert records.read(file) is None
    records.remove(file)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The error says which file, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="file/record cannot be written") as error:
        records.write(tmp_path / "file" / "record", RECORD)
    assert error.value.hint


def test_what_json_cannot_say_is_a_mistake_of_ours(tmp_path: Path) -> None:
    """A record never holds something it would read back as something else."""
    with pytest.raises(TypeError, match="a record cannot hold bytes"):
        records.write(tmp_path / "record", RECORD._replace(parts={"params": b"bytes"}))
    assert not (tmp_path / "record").exists()
