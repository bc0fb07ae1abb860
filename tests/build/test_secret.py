"""A password or key by reference: what it is read as, and what is said where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret, read_secret
from bootsmith.tasks.errors import StageError


def test_a_secret_is_its_text_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may end in the newline of an editor, which is no part of a password; all else is."""
    (tmp_path / "word").write_bytes(b" a\nword \n")
    monkeypatch.setenv("WORD", " a\nword ")
    found = [Secret(file=tmp_path / "word"), Secret(env="WORD"), Secret(hash=" a\nword ")]
    assert [read_secret(each, "it") for each in found] == [b" a\nword "] * 3


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
