"""A password or key by reference: what it is read as, and what is said where it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret, is_typed, read_secret
from bootsmith.tasks.errors import StageError


def test_a_secret_is_its_text_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner lines and blanks are part of it."""
    (tmp_path / "word").write_bytes(b" a\nword \n")
    monkeypatch.setenv("WORD", " a\nword ")
    found = [Secret(file=tmp_path / "word"), Secret(env="WORD"), Secret(hash=" a\nword ")]
    assert [read_secret(each, "it") for each in found] == [b" a\nword "] * 3


@pytest.mark.parametrize(
    "text", [b"w\xc3\xb6rd\n", b"w\xc3\xb6rd\r\n", b"w\xc3\xb6rd\n\r\n", b"\xef\xbb\xbfw\xc3\xb6rd\r\n"]
)
def test_what_editors_and_shells_add_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """Line ends of any system, several of them, a byte order mark: nobody types those at a console."""
    (tmp_path / "word").write_bytes(text)
    monkeypatch.setenv("WORD", os.fsdecode(text))
    assert [read_secret(each, "it") for each in (Secret(file=tmp_path / "word"), Secret(env="WORD"))] == [
        "wörd".encode()
    ] * 2


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (b"", False),
        (b"a b\tc", True),
        ("wörd".encode(), True),
        (b"a\nb", False),
        (b"a\rb", False),
        (b"\x1b[A", False),
        (b"\x7f", False),
    ],
)
def test_what_a_person_can_type(text: bytes, typed: bool) -> None:
    """A password of two lines opens nothing at a console."""
    assert is_typed(text) is typed


def test_a_missing_secret_says_what_it_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where it was looked for."""
    monkeypatch.delenv("WORD", raising=False)
    with pytest.raises(StageError, match=f"the password of ann cannot be read from {tmp_path}/word: No such file"):
        read_secret(Secret(file=tmp_path / "word"), "the password of ann")
    with pytest.raises(StageError, match="the password of ann is the environment variable WORD, which is not set"):
        read_secret(Secret(env="WORD"), "the password of ann")


def test_where_a_secret_was_named_is_no_part_of_it() -> None:
    """Two recipes that name the same secret have the same one."""
    assert Secret(env="WORD", where="a.yaml:1:1: key", holds="a password") == Secret(env="WORD")
