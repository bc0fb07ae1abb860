"""Sparse files in tars, in all forms that GNU tar writes, and maps that lie."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import excerpt, layer, sparse_member
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.tar import Entry

FORMS = {
    "old": ["--format=gnu"],
    **{form: ["--format=pax", f"--sparse-version={form}"] for form in ("0.0", "0.1", "1.0")},
}


def make_holes(path: Path, stretches: int, size: int) -> None:
    """Write a file with data in so many places."""
    with path.open("wb") as file:
        for number in range(stretches):
            file.seek(number * 65536 + 4096)
            file.write(b"%d" % number)
        file.truncate(size)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read(form: str, tmp_path: Path) -> None:
    """Few stretches or many, none, one up to the end, and what follows in the tar: data and holes as they were."""
    for name, stretches, size in (
        ("few", 3, 1 << 20),
        ("many", 300, 30 << 20),
        ("none", 0, 5_000_000),
        ("odd", 1, 6000),
    ):
        make_holes(tmp_path / name, stretches, size)
    (tmp_path / "plain").write_bytes(b"plain")
    names = ["few", "many", "none", "odd", "plain"]
    subprocess.run(["tar", "--sparse", *FORMS[form], "-cf", tmp_path / "t.tar", "-C", tmp_path, *names], check=True)
    found = {entry.path: entry for entry in tars.scan(tmp_path / "t.tar")}
    assert list(found) == names
    for name in names:
        assert layer.read_member(tmp_path / "t.tar", found[name]) == (tmp_path / name).read_bytes(), name
    assert (found["many"].size, found["many"].stored) == (30 << 20, 300 * 4096)
    assert (found["none"].stretches, found["plain"].stretches) == ((), None)


@pytest.mark.parametrize("form", FORMS)
def test_holes_stay_in_what_is_made_of_it(form: str, tmp_path: Path) -> None:
    """A part of a tar, or a file copied into a layer, is as sparse as it was, and GNU tar reads it."""
    (tmp_path / "d").mkdir()
    make_holes(tmp_path / "d/file", 50, 1 << 30)
    subprocess.run(["tar", "--sparse", *FORMS[form], "-cf", tmp_path / "t.tar", "-C", tmp_path, "d"], check=True)
    excerpt.write(tmp_path / "t.tar", tmp_path / "u.tar", tmp_path / "u.index", subdir="/d", strip=0)
    entry = next(entry for entry in layer.read_index(tmp_path / "u.index") if entry.path == "file")
    assert entry in tuple(tars.scan(tmp_path / "u.tar"))
    with layer.LayerWriter(tmp_path / "v.tar", tmp_path / "v.index", 7) as writer:
        writer.add_copy(entry, tmp_path / "u.tar")
    assert layer.read_index(tmp_path / "v.index") == tuple(tars.scan(tmp_path / "v.tar"))
    assert (tmp_path / "v.tar").stat().st_size < 1 << 20
    subprocess.run(["tar", "-xf", tmp_path / "v.tar", "-C", tmp_path], check=True)
    subprocess.run(["cmp", tmp_path / "file", tmp_path / "d/file"], check=True)


def old(pairs: list[tuple[bytes, bytes]], real: bytes, stored: int, more: bytes = b"") -> bytes:
    """Return a member of the old form."""
    head = bytearray(tars.header(Entry("x", "f", size=stored)))
    head[156] = ord("S")
    head[386:482] = b"".join(start.ljust(12, b"\0") + length.ljust(12, b"\0") for start, length in pairs).ljust(
        96, b"\0"
    )
    head[482] = bool(more)
    head[483:495] = real.ljust(12, b"\0")
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    return bytes(head) + more + bytes(-(-stored // 512) * 512)


def pax(records: dict[str, str], data: bytes) -> bytes:
    """Return a member whose extended header says so much."""
    said = b"".join(tars._record(f"GNU.sparse.{key}".encode(), value.encode()) for key, value in records.items())
    head = bytearray(tars.header(Entry("pax", "f", size=len(said))))
    head[156] = ord("x")
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    head += said + bytes(-len(said) % 512) + tars.header(Entry("x", "f", size=len(data)))
    return bytes(head) + data + bytes(-len(data) % 512)


def newest(lines: bytes, real: str = "100", data: bytes = b"12345678") -> bytes:
    return pax({"major": "1", "minor": "0", "realsize": real}, lines.ljust(512, b"\0") + data)


FIRST = {"size": "100", "numblocks": "1"}
HUGE = str((1 << 63) - 1)


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (old([(b"0", b"10"), (b"4", b"10")], b"200", 16), "its map is none"),  # overlap
        (old([(b"100", b"10"), (b"0", b"10")], b"200", 16), "its map is none"),  # backwards
        (old([(b"\xff" * 12, b"10")], b"200", 8), "its map is none"),  # a place before the file
        (old([(b"0", b"\xff" * 12)], b"200", 8), "its map is none"),  # less than nothing
        (old([(b"0", b"10")], b"7", 8), "its map is none"),  # beyond the file
        (old([(b"0", b"10")], b"\xff" * 12, 8), "-1 is no size"),  # of a file less than nothing
        (old([(b"0", b"10")], b"\x80" + b"\xff" * 11, 8), "is no size"),
        (old([(b"0", b"10")], b"200", 80), "tells of 8 bytes, and it has 80"),
        (old([(b"x", b"10")], b"200", 8), "no octal number"),
        (pax({**FIRST, "map": "0,8,4,4"}, b"1" * 12), "another length"),
        (pax({**FIRST, "map": "0"}, b""), "cut off"),
        (pax({**FIRST, "map": "0,8", "numblocks": "2"}, b"12345678"), "another length"),
        (pax({**FIRST, "map": "-8,8"}, b"12345678"), "its map is none"),
        (pax({**FIRST, "map": "0,-8"}, b""), "its map is none"),
        (pax({**FIRST, "map": f"0,{HUGE}"}, b"1"), "its map is none"),
        (pax({**FIRST, "map": "0,8", "size": str(1 << 63)}, b"12345678"), "is no size"),
        (pax({**FIRST, "offset": "0", "numbytes": "9"}, b"12345678"), "tells of 9 bytes, and it has 8"),
        (pax({**FIRST, "map": "," * 10}, b""), "is no number"),
        (newest(b"1\n0\n8\n", "5"), "its map is none"),
        (newest(b"2\n0\n4\n2\n4\n"), "its map is none"),
        (newest(b"2\n0\n4\n"), "cut off|no number"),
        (newest(b"999999999999\n"), "more than 262144 stretches"),
        (newest(b"-1\n"), "is no size"),
        (newest(b"1\n0\n9\n"), "tells of 9 bytes, and it has 8"),
        (newest(b"1" * 400), "cut off"),
        (pax({"major": "2", "minor": "0", "realsize": "9"}, b""), "its form is unknown"),
    ],
)  # fmt: skip
def test_a_map_that_lies_is_refused(member: bytes, what: str, tmp_path: Path) -> None:
    """Negative, overlapping, endless or contradicting: an error that names the member, at once."""
    (tmp_path / "t.tar").write_bytes(member + tars.END)
    with pytest.raises(StageError, match=f"its sparse member b'x': .*({what})"):
        list(tars.scan(tmp_path / "t.tar"))


def test_what_is_hollow_alone_is_bounded(tmp_path: Path) -> None:
    """A file of eight exbibytes of nothing is listed and looked into without being made."""
    (tmp_path / "t.tar").write_bytes(newest(b"1\n%d\n8\n" % ((1 << 62) + 1), HUGE) + tars.END)
    (entry,) = tars.scan(tmp_path / "t.tar")
    assert (entry.size, entry.stored) == (int(HUGE), 8)
    with layer.open_member(tmp_path / "t.tar", entry) as file:
        assert file.read(1000) == bytes(1000)


def test_many_files_of_many_stretches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All maps of a tar are held in memory together: there is a bound on all of them, too."""
    (tmp_path / "t.tar").write_bytes(newest(b"2\n0\n4\n9\n4\n") * 3 + tars.END)
    assert len(list(tars.scan(tmp_path / "t.tar"))) == 3
    monkeypatch.setattr(tars, "MOST_STRETCHES", 5)
    with pytest.raises(StageError, match="its sparse files have more than 5 stretches"):
        list(tars.scan(tmp_path / "t.tar"))


def test_neighbours_are_one() -> None:
    """Stretches that touch are one, empty ones none, and a file without a hole is no sparse one."""
    assert sparse_member._checked([(0, 4), (4, 4), (9, 0), (10, 2), (20, 0)], 20, 10) == ((0, 8), (10, 2))
