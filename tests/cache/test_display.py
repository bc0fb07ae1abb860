"""cache/display.py: names that are not ours on one line, amounts as people say them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from bootsmith.cache.display import LIMIT, ago, alike, count, escaped, human, nearest, shown
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("café/日本 x", "café/日本 x"),
        (b"caf\xe9", r"caf\xe9"),
        ("a\nb\x1b[31m\udcff", r"a\nb\x1b[31m\xff"),
        ("\x85 \u202egpj.exe \U000e0001", r"\u0085 \u202egpj.exe \U000e0001"),
        (r"dev-disk\x2dby.swap", r"dev-disk\x2dby.swap"),
        ("a\\nb\n", r"a\\nb\n"),
        ("", ""),
    ],
)
def test_any_name_is_one_line(name: str | bytes, text: str) -> None:
    """Line ends, what steers a terminal and bytes that are no text are written out; what can be read stays."""
    assert shown(name) == text


def unescaped(text: str) -> bytes:
    """Return the bytes of a name of which something had to be escaped."""
    found = b""
    for each in re.findall(r"\\(?:[\\nrt]|x..|u.{4}|U.{8})|[^\\]", text):
        if each.startswith("\\x"):
            found += bytes.fromhex(each[2:])
        else:
            found += (each.encode().decode("unicode_escape") if each.startswith("\\") else each).encode()
    return found


@given(st.binary(min_size=1, max_size=40))
def test_the_bytes_of_a_name_can_be_told(name: bytes) -> None:
    """What is shown of a name can be printed anywhere, and says which bytes it is made of."""
    text = shown(name)
    assert text.isprintable()
    assert (text.encode() if text == os.fsdecode(name) else unescaped(text)) == name


def test_long_text_lacks_its_middle() -> None:
    """How it begins and how it ends is what tells it from others."""
    text = shown("a" * 5000 + "\n" + "z" * 5000)
    assert len(text) == LIMIT
    assert text.startswith("aaa")
    assert text.endswith("zzz")
    assert "…" in text
    assert shown("a" * LIMIT) == "a" * LIMIT
    assert shown("abcdefghij", 6) == "abc…ij"


def test_paths_are_told_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path below the current folder is told from it; what only looks like one, or is mere text, as it is."""
    monkeypatch.chdir(tmp_path)
    assert [shown(tmp_path / "a/b\n"), shown(tmp_path), shown(Path("a"))] == [r"a/b\n", ".", "a"]
    assert [shown(Path(f"{tmp_path}x")), shown(f"{tmp_path}/a")] == [f"{tmp_path}x", f"{tmp_path}/a"]
    monkeypatch.chdir("/")
    assert shown(Path("/usr/lib")) == "usr/lib"


def test_a_message_keeps_its_lines() -> None:
    """Of a whole message only that is escaped which has no business in one."""
    assert escaped("one\n\ttwo \x1b[2J\udcff\r\n") == "one\n\ttwo \\x1b[2J\\xff\\r\n"
    assert escaped("one\\ntwo") == "one\\ntwo"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400 * 29, "29 days ago"),
        (86400 * 61, "2 months ago"),
        (86400 * 800, "2 years ago"),
    ],
)
def test_ago(seconds: float, text: str) -> None:
    """In the largest unit that fits."""
    assert ago(seconds) == text


def test_count() -> None:
    """One, or many, with separators."""
    assert [count(number, "chunk") for number in (0, 1, 1200)] == ["0 chunks", "1 chunk", "1,200 chunks"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (12, "12 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (236 << 20, "236 MiB"),
        (3 << 39, "1.5 TiB"),
        (20 << 30, "20.0 GiB"),
    ],
)
def test_sizes_read_as_people_write_them(size: int, text: str) -> None:
    """Powers of 1024, three digits at most where there is a point."""
    assert human(size) == text


def test_what_was_probably_meant() -> None:
    """The likeliest of the known words, whatever its case and however long the word; none where none is like it."""
    known = ["image", "Images", "kernel"]
    assert [nearest(word, known) for word in ("imgae", "IMAGES", "zzz", "")] == ["image", "Images", None, None]
    assert alike("imag", known) == ["image", "Images"]
    assert alike("imag", known, most=1) == ["image"]
    assert nearest("x" * 100_000, ["x" * LIMIT]) == "x" * LIMIT
