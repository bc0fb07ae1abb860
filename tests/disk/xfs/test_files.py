"""Reading xfs: what mkfs.xfs and xfs_db made, and nothing believed that cannot be."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bootsmith.tasks.disk.node import WINDOW, Node
from bootsmith.tasks.disk.xfs import attributes
from bootsmith.tasks.disk.xfs.files import XfsFiles
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl

LARGE = random.Random(4).randbytes(1_500_000)
SIZE = 320 << 20


def make(folder: Path, *options: str) -> Path:
    """Return a filesystem with files of every kind, and folders in each of the ways in which they are kept."""
    (folder / "large").write_bytes(LARGE)
    (folder / "small").write_bytes(b"first")
    lines = ["/stand/boot", "0 0", "d--751 0 7"]
    lines += [
        f"large -u-755 1000 70000 {folder}/large",
        f"small ---640 1 2 {folder}/small",
        f"link l--777 0 0 {'t' * 200}",
    ]
    lines += [
        "short l--777 0 0 a/b",
        "null c--666 0 0 1 3",
        "disk b--660 0 6 259 70000",
        "pipe p--644 1 1",
        "few d--770 7 8",
    ]
    lines += [f"a ---644 0 0 {folder}/small", "$"]
    for name, count in (("block", 30), ("leaf", 300), ("node", 2500)):
        lines += [f"{name} d--755 0 0"]
        lines += [f"a-file-of-{name}-{number} ---644 0 0 /dev/null" for number in range(count)]
        lines += ["$"]
    (folder / "proto").write_text("\n".join([*lines, "$"]) + "\n")
    image = folder / "image"
    words = ["mkfs.xfs", "-q", *options, "-p", folder / "proto", "-d", f"file,name={image},size={SIZE}"]
    subprocess.run(words, check=True, capture_output=True)
    for path, name, size in (("small", "user", 5), ("small", "more", 40), ("large", "far", 9000)):
        commands = ["-c", f"path /{path}", "-c", f"attr_set -u -v {size} {name}"]
        subprocess.run(["xfs_db", "-x", *commands, image], check=True, capture_output=True)
    return image


@contextmanager
def opened(image: Path) -> Iterator[XfsFiles]:
    with image.open("rb") as file:
        yield XfsFiles(image, file.fileno(), 0, image.stat().st_size)


def walked(files: XfsFiles, path: bytes, node: Node) -> dict[bytes, Node]:
    found = {path: node}
    for name, child in files.children(path, node):
        below = path + b"/" + name if path else name
        found |= walked(files, below, child) if child.kind == "d" else {below: child}
    return found


@pytest.mark.parametrize("options", [(), ("-b", "size=1024", "-n", "size=8192")], ids=["usual", "small"])
def test_every_file_is_as_it_was_put_there(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Owners, modes, links, devices, attributes, folders of every size, whatever the sizes of blocks are (L21)."""
    image = make(tmp_path, *options)
    with opened(image) as files:
        found = walked(files, b"", files.root)
        assert len(found) == 1 + 8 + 1 + 3 + 30 + 300 + 2500
        assert (found[b""].mode, found[b""].gid) == (0o751, 7)
        large, small = found[b"large"], found[b"small"]
        assert (large.mode, large.uid, large.gid, large.size) == (0o4755, 1000, 70000, len(LARGE))
        assert files.read(large, 0, 9 << 20) == LARGE
        assert files.read(large, 777_777, 10) == LARGE[777_777:777_787]
        assert files.windows(large) == {0, 1}
        assert len(LARGE) > WINDOW
        assert large.mtime > 1_500_000_000 * 10**9
        assert {name: len(value) for name, value in large.xattrs.items()} == {"user.far": 9000}
        assert {name: len(value) for name, value in small.xattrs.items()} == {"user.user": 5, "user.more": 40}
        assert files.read(small, 2, 99) == b"rst"
        assert (found[b"link"].target, found[b"short"].target) == (b"t" * 200, b"a/b")
        assert (found[b"null"].kind, found[b"null"].device, found[b"disk"].device) == ("c", (1, 3), (259, 70000))
        assert (found[b"pipe"].kind, found[b"few"].mode) == ("p", 0o770)
        assert files.read(found[b"few/a"], 0, 9) == b"first"


def test_access_control_lists_are_what_linux_has() -> None:
    """xfs keeps them in a form of its own."""
    rows = [(acl.OWNER, 6), (acl.USER, 4), (acl.GROUP, 4), (acl.MASK, 4), (acl.OTHER, 0)]
    held = struct.pack(">I", len(rows)) + b"".join(struct.pack(">IIHH", tag, 7, rights, 0) for tag, rights in rows)
    name, value = attributes._named(2, b"SGI_ACL_FILE", held)
    assert name == acl.ACCESS
    nobody = (1 << 32) - 1
    assert acl.decode(value) == [(tag, 7 if tag == acl.USER else nobody, rights) for tag, rights in rows]


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    """An old form, and a feature that nobody knew: neither is taken for damage."""
    image = make(tmp_path)
    for at, data, what in (
        (100, b"\xb4\xa4", "it is of version 4, and 5"),
        (216, b"\0\1\0\1", "features that are newer"),
    ):
        head = image.read_bytes()[:512]
        with image.open("r+b") as file:
            file.seek(at)
            file.write(data)
        with pytest.raises(StageError, match=f"cannot be read here: .*{what}"):
            opened(image).__enter__()
        with image.open("r+b") as file:
            file.write(head)


def test_damage_is_told_and_never_believed(tmp_path: Path) -> None:
    """Wherever bytes are others, what is read is refused or bounded: no traceback, and no end of it."""
    image = make(tmp_path)
    dice = random.Random(9)
    blocks: list[tuple[int, int]] = []
    with image.open("rb") as file:
        end = 4 << 20
        data = os.pread(file.fileno(), end, 0)
        blocks += [(at, 512) for at in range(0, end, 512) if data[at : at + 2] == b"IN"][:40]
        blocks += [
            (at, 4096) for at in range(0, end, 4096) if data[at : at + 4] in (b"XDB3", b"XDD3", b"XSLM", b"XARM")
        ][:20]
        blocks += [(at, 4096) for at in range(0, end, 4096) if data[at + 8 : at + 10] == b"\x3b\xee"]
    assert len(blocks) > 50
    told = 0
    for _ in range(60):
        harmed = {at + dice.randrange(length): dice.randrange(256) for at, length in dice.sample(blocks, 3)}
        harmed |= {at + dice.randrange(200): dice.randrange(256) for at, _ in dice.sample(blocks, 3)}
        if dice.random() < 0.2:
            harmed[dice.randrange(4, 220)] = dice.randrange(256)
        with image.open("r+b") as file:
            for at, byte in harmed.items():
                file.seek(at)
                file.write(bytes((byte,)))
        try:
            with opened(image) as files:
                for node in walked(files, b"", files.root).values():
                    if node.kind == "f":
                        files.read(node, 0, 4096)
                        files.read(node, max(0, node.size - 4096), 4096)
                        files.windows(node)
        except StageError as error:
            assert "is damaged" in error.message or "cannot be read here" in error.message  # noqa: PT017  most are
            told += 1
        with image.open("r+b") as file:
            for at in harmed:
                file.seek(at)
                file.write(data[at : at + 1])
    assert told >= 20
