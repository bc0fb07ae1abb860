"""The tar format, compared with what GNU tar and Python's tarfile make and read."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.tar import Entry

LONG = "/".join(["a" * 45] * 5)


def grow(root: Path) -> None:
    """Make a folder of awkward files."""
    (root / "d/.hidden").mkdir(parents=True)
    (root / "d/file").write_bytes(b"x" * 1000)
    (root / "d/empty").touch()
    (root / "d/run").write_bytes(b"#!")
    (root / "d/run").chmod(0o4755)
    os.link(root / "d/file", root / "d/hard")
    (root / "d/soft").symlink_to("../" + "long" * 40)
    (root / "näme\n").touch()
    Path(os.fsdecode(os.fsencode(root) + b"/latin\xe9")).write_bytes(b"1")
    deep = root / LONG
    deep.parent.mkdir(parents=True)
    deep.write_bytes(b"deep")
    os.mkfifo(root / "pipe")


@pytest.mark.parametrize("form", ["pax", "gnu", "ustar"])
def test_what_gnu_tar_writes_is_read(form: str, tmp_path: Path) -> None:
    """Every kind of member of GNU tar's formats is told with its name, kind, size, place and link."""
    root = tmp_path / "root"
    grow(root)
    if form == "ustar":
        (root / "d/soft").unlink()  # its target is longer than that format can say
    tar = tmp_path / "t.tar"
    subprocess.run(["tar", "--sort=name", f"--format={form}", "-cf", tar, "-C", root, "."], check=True)
    found = list(tars.scan(tar))
    with tarfile.open(tar, encoding="utf-8", errors="surrogateescape") as known:
        members = known.getmembers()
    assert [e.path for e in found] == ["" if m.name == "." else m.name.removeprefix("./") for m in members]
    for entry, member in zip(found, members, strict=True):
        assert (entry.mode, entry.uid, entry.gid) == (member.mode, member.uid, member.gid)
        assert entry.mtime == int(member.mtime)
        if member.isreg():
            assert (entry.type, entry.size, entry.offset) == ("f", member.size, member.offset_data)
    kinds = {e.path: e.type for e in found}
    assert kinds["d"] == "d"
    assert kinds["pipe"] == "p"
    assert sorted([kinds["d/file"], kinds["d/hard"]]) == ["f", "h"]
    assert next(e for e in found if e.type == "h").link == "d/file"
    assert kinds[LONG] == "f"
    assert "latin\udce9" in kinds
    assert kinds["d/.hidden"] == "d"
    if form != "ustar":
        assert next(e for e in found if e.type == "l").link == "../" + "long" * 40


@pytest.mark.parametrize(
    "entry",
    [
        Entry("", "d", 0o755),
        Entry("a", "f", 0o4711, 1000, 1001, 5, 1_700_000_000),
        Entry("d/" + "n" * 99, "f"),
        Entry("d/" + "n" * 120, "f", size=3),
        Entry(LONG, "f", size=512),
        Entry(LONG, "d", 0o1777),
        Entry("latin\udce9", "f"),
        Entry("latin\udce9" * 40, "f"),
        Entry("big", "f", 0o600, 3_000_000, 4_000_000, 1),
        Entry("soft", "l", 0o777, link="x/../y" * 30),
        Entry("hard", "h", link="a"),
        Entry("tty", "c", 0o620, 0, 5, major=5, minor=1),
        Entry("sda", "b", 0o660, 0, 6, major=8, minor=0),
        Entry("pipe", "p"),
        Entry("cap", "f", 0o755, xattrs={"security.capability": bytes(range(20)), "user.x": b"="}),
    ],
    ids=lambda entry: f"{entry.type}-{entry.path[:12]!a}",
)
def test_what_is_written_is_read_back(entry: Entry, tmp_path: Path) -> None:
    """A member's every field survives its header, and Python's tarfile reads the same."""
    tar = tmp_path / "t.tar"
    head = tars.header(entry)
    tar.write_bytes(head + b"\0" * (-(-entry.size // 512) * 512) + tars.END)
    (found,) = tars.scan(tar)
    place = len(head) if entry.type == "f" else 0
    assert found == Entry(
        entry.path, entry.type, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime, entry.link,
        entry.major, entry.minor, place, entry.xattrs,
    )  # fmt: skip
    with tarfile.open(tar, encoding="utf-8", errors="surrogateescape") as known:
        (member,) = known.getmembers()
    assert (member.name or ".") == (entry.path or ".")
    assert (member.mode, member.uid, member.size, member.linkname) == (entry.mode, entry.uid, entry.size, entry.link)


def test_a_huge_file_keeps_its_size() -> None:
    """A file over 8 GiB is said in an extended header."""
    assert b" size=9000000000\n" in tars.header(Entry("huge", "f", size=9_000_000_000))


@pytest.mark.parametrize("length", range(90, 112))
def test_a_record_counts_itself(length: int, tmp_path: Path) -> None:
    """An extended record whose length's own digits grow it is still read to its end."""
    entry = Entry("f", "f", xattrs={"user.long": b"v" * length, "user.more": b"w" * (length * 10)})
    tar = tmp_path / "t.tar"
    tar.write_bytes(tars.header(entry) + tars.END)
    assert next(tars.scan(tar)).xattrs == entry.xattrs


def test_names_lead_into_the_tree(tmp_path: Path) -> None:
    """Slashes and dots before and inside a name are dropped; ".." is refused."""
    assert tars.clean("./a//b/./c/") == "a/b/c"
    assert tars.clean("/etc/.x") == "etc/.x"
    tar = tmp_path / "t.tar"
    tar.write_bytes(tars.header(Entry("a/../../b", "f")) + tars.END)
    with pytest.raises(StageError, match="leads out of the tree"):
        list(tars.scan(tar))


def test_a_directory_of_old_is_told_by_its_slash(tmp_path: Path) -> None:
    """Tars before POSIX wrote a directory as a file whose name ends in a slash."""
    tar = tmp_path / "t.tar"
    head = bytearray(tars.header(Entry("old", "d", 0o755)))
    head[156] = 0
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    tar.write_bytes(head + tars.END)
    assert next(tars.scan(tar)).type == "d"


def damaged() -> dict[str, bytes]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info = tarfile.TarInfo("name")
        info.size = 3000
        tar.addfile(info, io.BytesIO(b"x" * 3000))
    whole = made.getvalue()
    return {
        "empty": b"",
        "noise": b"noise" * 500,
        "a bit flipped": b"N" + whole[1:],
        "cut in the data": whole[:2000],
        "cut before the end": whole[: 512 + 3072],
        "not a number": whole[:124] + b"zzzzzzzzzzz\0" + whole[136:],
    }


def test_what_is_no_tar_is_told_in_words(tmp_path: Path) -> None:
    """A text is not a tar, and the message is no programmer's."""
    text = tmp_path / "passwd"
    text.write_text("root:x:0:0:root:/root:/bin/bash\n" * 40)
    with pytest.raises(StageError) as caught:
        list(tars.scan(text))
    assert caught.value.message == f"{text} is damaged or not a tar: the header at byte 0 has a wrong checksum"


@pytest.mark.parametrize("how", damaged())
def test_a_damaged_tar_is_refused(how: str, tmp_path: Path) -> None:
    """A tar that is cut, altered or no tar at all is an error naming the file, never a short list."""
    tar = tmp_path / "broken.tar"
    tar.write_bytes(damaged()[how])
    with pytest.raises(StageError, match=r"broken\.tar is (damaged|empty)"):
        list(tars.scan(tar))


def member(field: slice, value: bytes, pax: bytes = b"") -> bytes:
    """Return a tar of one file, a field of whose header is another; `pax` stands in an extended header before it."""
    head = bytearray(tars.header(Entry("file", "c" if field.start in (329, 337) else "f", size=0)))
    head[field] = value.ljust(field.stop - field.start, b"\0")
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    extended = b""
    if pax:
        extended = bytearray(tars.header(Entry("pax", "f", size=len(pax))))
        extended[156] = ord("x")
        extended[148:156] = b"%06o\0 " % (sum(extended[:148]) + 8 * 32 + sum(extended[156:]))
        extended += pax.ljust(512, b"\0")
    return bytes(extended + head) + tars.END


SIZE, OWNER, TIME, MAJOR = slice(124, 136), slice(108, 116), slice(136, 148), slice(329, 337)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (member(SIZE, b"-0000000777"), "no octal number"),
        (member(SIZE, b"\xff" * 12), "-1 is no size"),
        (member(SIZE, b"\xff" * 10 + b"\xfc\x00"), "-1024 is no size"),
        (member(SIZE, b"1_000"), "no octal number"),
        (member(SIZE, b"0", b"14 size=-1024\n"), "-1024 is no size"),
        (member(SIZE, b"0", b"13 size=1_00\n"), "is no number"),
        (member(SIZE, b"0", b"-3 size=1\n"), "malformed"),
        (member(OWNER, b"\x80\0\0\0\xff\xff\xff\xff"), "no owner"),
        (member(OWNER, b"\xff" * 8), "no owner"),
        (member(TIME, b"\x80" + b"\0" * 5 + b"\x04" + b"\0" * 5), "no time"),
        (member(MAJOR, b"0010000"), "no major device number"),
    ],
    ids=[
        *("minus", "base 256", "base 256, backwards", "underscore", "extended", "extended, underscore"),
        *("a record", "owner", "owner below none", "time", "device"),
    ],
)
def test_a_number_that_cannot_be_is_refused(data: bytes, what: str, tmp_path: Path) -> None:
    """A size below nothing would be read for ever; what no system holds would fail somewhere on its way."""
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(StageError, match=what):
        list(itertools.islice(tars.scan(tmp_path / "x.tar"), 100))


def test_a_time_before_the_epoch_is_one(tmp_path: Path) -> None:
    """GNU tar writes what is negative in base 256."""
    (tmp_path / "x.tar").write_bytes(member(TIME, b"\xff" * 11 + b"\xfe"))
    assert next(tars.scan(tmp_path / "x.tar")).mtime == -2


@pytest.mark.parametrize("field", ["path", "linkpath"])
def test_a_path_longer_than_linux_takes_is_refused(tmp_path: Path, field: str) -> None:
    """A name of a million folders would be a million names: it is refused, and the longest that can be is not."""
    for length, more in ((4095, ""), (8 << 20, "/d" * (4 << 20))):
        info = tarfile.TarInfo("x")
        info.type = tarfile.SYMTYPE if field == "linkpath" else tarfile.REGTYPE
        info.pax_headers = {field: (more or "d/" * 2047 + "d")}
        assert len(info.pax_headers[field]) == length
        with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(info)
        if not more:
            layer.merge([tuple(tars.scan(tmp_path / "x.tar"))])
            continue
        with pytest.raises(StageError, match="longer than 4095 bytes"):
            list(tars.scan(tmp_path / "x.tar"))


@pytest.mark.parametrize("what", ["defaults", "records"])
def test_headers_without_end_are_refused(tmp_path: Path, what: str) -> None:
    """What a global header says counts for each member: it is bounded. So are records that end beyond their header."""
    said = b"".join(tars._record(b"k%d" % number, b"v") for number in range(1001))
    extended = bytearray(tars.header(Entry("pax", "f", size=len(said) if what == "defaults" else 10)))
    extended[156] = ord("g" if what == "defaults" else "x")
    extended[148:156] = b"%06o\0 " % (sum(extended[:148]) + 8 * 32 + sum(extended[156:]))
    (tmp_path / "x.tar").write_bytes(
        extended + said + bytes(-len(said) % 512) + tars.header(Entry("x", "f")) + tars.END
    )
    with pytest.raises(StageError, match="thousand" if what == "defaults" else "malformed"):
        list(tars.scan(tmp_path / "x.tar"))


@pytest.mark.parametrize("field", ["path", "linkpath"])
def test_a_name_with_a_nul_is_refused(tmp_path: Path, field: str) -> None:
    """PAX can say what no system can name: it would be cut short somewhere on its way."""
    info = tarfile.TarInfo("x")
    info.type = tarfile.SYMTYPE if field == "linkpath" else tarfile.REGTYPE
    info.pax_headers = {field: "etc/shadow\0.txt"}
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with pytest.raises(StageError, match="holds a NUL"):
        list(tars.scan(tmp_path / "x.tar"))
