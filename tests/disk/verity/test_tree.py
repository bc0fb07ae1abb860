"""Hash trees of dm-verity, made without root: what veritysetup makes of the same data, and of ours. C12."""

from __future__ import annotations

import os
import random
import subprocess
from functools import partial
from pathlib import Path

import pytest
from bootsmith.tasks.disk.verity import check, form, tree
from bootsmith.tasks.disk.verity.form import BLOCK, Form
from bootsmith.tasks.errors import StageError

UUID = "179ab335-08ea-462f-983b-8b2fbd8620c7"
SALT = bytes(range(32))


def veritysetup(*words: str | Path) -> str:
    return subprocess.run(["veritysetup", *words], check=True, capture_output=True, text=True).stdout


def made(folder: Path, blocks: int) -> tuple[Path, Path, str]:
    """Return data of so many blocks, their tree, and its root hash."""
    data, image = folder / "data", folder / "tree"
    data.write_bytes(random.Random(blocks).randbytes(blocks * BLOCK))
    return data, image, tree.make(data, image, UUID, SALT)


@pytest.mark.parametrize("blocks", [1, 2, 128, 129, 300, 128 * 128, 128 * 128 + 1])
def test_the_tree_is_veritysetup_s(tmp_path: Path, blocks: int) -> None:
    """Byte for byte the same, at every change of the number of levels; and it verifies ours."""
    data, image, root = made(tmp_path, blocks)
    theirs = tmp_path / "theirs"
    said = veritysetup("format", data, theirs, "--salt", SALT.hex(), "--uuid", UUID)
    assert f"Root hash:      \t{root}\n" in said
    assert theirs.read_bytes() == image.read_bytes()
    veritysetup("verify", data, image, root)
    described = form.decode(image.read_bytes()[:BLOCK])
    assert described == Form(UUID, SALT, blocks)
    assert described.size == image.stat().st_size


def test_data_of_no_whole_blocks_are_refused(tmp_path: Path) -> None:
    """A kernel would verify no piece of one."""
    (tmp_path / "data").write_bytes(bytes(BLOCK + 512))
    with pytest.raises(StageError, match="4608 bytes are no whole number of blocks of 4096"):
        tree.make(tmp_path / "data", tmp_path / "tree", UUID, SALT)


@pytest.mark.parametrize(
    ("file", "at", "problem"),
    [
        ("data", 299 * BLOCK + 7, ["block 299 of the data (byte 1224704) is not what the hash tree says"]),
        ("tree", 3 * BLOCK, ["block 3 of the hash tree (byte 12288) is not what the block above it says"]),
        ("tree", 2 * BLOCK - 1, ["block 1 of the hash tree (byte 4096) is not what the root hash says"]),
    ],
)
def test_a_flipped_bit_is_found(tmp_path: Path, file: str, at: int, problem: list[str]) -> None:
    """Where it is, and by what it is known, in data and at every level of the tree."""
    data, image, root = made(tmp_path, 300)
    assert problems(data, image, root) == []
    flip(tmp_path / file, at)
    assert problems(data, image, root) == problem


def test_no_level_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large a table says that a tree is: its levels are held against each other piece by piece."""
    monkeypatch.setattr(check, "_PIECE", BLOCK)
    data, image, root = made(tmp_path, 300)
    described, lengths = form.decode(image.read_bytes()[:BLOCK]), set[int]()
    assert isinstance(described, Form)

    def read(path: Path, at: int, length: int) -> bytes:
        lengths.add(length)
        return path.read_bytes()[at : at + length]

    assert not list(check.problems(described, root, partial(read, image), partial(read, data)))
    assert max(lengths) == BLOCK


def test_many_wrong_blocks_are_counted_and_what_is_short_is_told(tmp_path: Path) -> None:
    """A report is no longer than a few lines, whatever was damaged."""
    data, image, root = made(tmp_path, 300)
    for number in range(10, 20):
        flip(data, number * BLOCK)
    said = problems(data, image, root)
    assert [each.split()[1] for each in said[:3]] == ["10", "11", "12"]
    assert said[3:] == ["and 7 more blocks of the data"]
    os.truncate(data, 200 * BLOCK)
    assert problems(data, image, root) == ["the data are cut short: the hash tree is of 1228800 bytes"]
    os.truncate(image, 2 * BLOCK)
    assert problems(data, image, root) == ["the hash tree is cut short: it takes 20480 bytes"]


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0, b"V", None),
        (8, b"\2", "another form"),
        (12, b"\0", "another form"),
        (32, b"sha512", "another form"),
        (65, b"\2", "another form"),
        (72, bytes(8), "makes no sense"),
        (72, b"\xff" * 8, "makes no sense"),
        (80, b"\xff\xff", "makes no sense"),
    ],
)
def test_a_superblock_is_not_believed(at: int, value: bytes, problem: str | None) -> None:
    """What is of another kind or impossible is said so: nobody reckons with it."""
    head = bytearray(form.encode(Form(UUID, SALT, 300)))
    head[at : at + len(value)] = value
    found = form.decode(bytes(head))
    assert found is None if problem is None else problem in str(found)
    assert form.decode(bytes(head[:300])) in (None, "it is cut short")


def test_the_partitions_are_named_as_systemd_looks_for_them() -> None:
    """The first half of the root hash is the data's GUID, the last that of the tree."""
    found = form.partuuids("00112233445566778899aabbccddeeff" + "ffeeddccbbaa99887766554433221100")
    assert found == ("00112233-4455-6677-8899-aabbccddeeff", "ffeeddcc-bbaa-9988-7766-554433221100")


def problems(data: Path, image: Path, root: str) -> list[str]:
    def read(path: Path) -> check.Read:
        content = path.read_bytes()
        return lambda at, length: content[at : at + length]

    described = form.decode(image.read_bytes()[:BLOCK])
    assert isinstance(described, Form)
    return list(check.problems(described, root, read(image), read(data)))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
