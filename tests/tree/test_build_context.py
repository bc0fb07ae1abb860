"""What a Containerfile may take files from: the patterns of its ignore file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree.build_context import matcher

PATHS = ("a", "a/b", "a/b.o", "a/c/d.o", "x.o", "x[1]", "keep/x.o", "ab/a")


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("", set()),
        ("# x\n\n", set()),
        ("a\n", {"a", "a/b", "a/b.o", "a/c/d.o"}),
        ("/a/\n", {"a", "a/b", "a/b.o", "a/c/d.o"}),
        ("*.o\n", {"x.o"}),
        ("*/*.o\n", {"a/b.o", "keep/x.o"}),
        ("**/*.o\n!keep/**\n", {"a/b.o", "a/c/d.o", "x.o"}),
        ("!x.o\n**/*.o\n", {"a/b.o", "a/c/d.o", "x.o", "keep/x.o"}),
        ("a/../x.o\n", {"x.o"}),
        ("a?\n", {"ab/a"}),
        ("x\\[1]\n", {"x[1]"}),
        ("x[[]1]\n", {"x[1]"}),
        ("[a-w]/b\n", {"a/b"}),
        ("*\n!a/b\n", {*PATHS} - {"a/b"}),
        ("a/**\n", {"a/b", "a/b.o", "a/c/d.o"}),
        (".\n", set()),
    ],
)
def test_the_last_pattern_that_matches_decides(text: str, left_out: set[str]) -> None:
    """A22: patterns are read as container engines read them."""
    ignored = matcher(text, Path(".dockerignore"))
    assert {path for path in PATHS if ignored(path)} == left_out


@pytest.mark.parametrize("pattern", ["[z-a]x", "a[^]", "!x/[9-0]"])
def test_what_is_no_pattern_is_told(pattern: str) -> None:
    """With its file and line, before anything is packed."""
    what = re.escape(f".dockerignore:3: {pattern} is no pattern")
    with pytest.raises(StageError, match=f"{what}\n"):
        matcher(f"# x\r\n\r\n{pattern}\r\n", Path(".dockerignore"))
