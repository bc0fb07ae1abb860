"""Glob patterns."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import patterns


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/usr/share/doc/*", "usr/share/doc/bash", True),
        ("/usr/share/doc/*", "usr/share/doc/bash/copyright", False),
        ("usr/**/x", "usr/x", True),
        ("usr/**/x", "usr/a/b/x", True),
        ("usr/**/x", "usr/a/bx", False),
        ("usr/**", "usr/a/b", True),
        ("usr/**", "usr", False),
        ("**/*.pyc", "a/b/c.pyc", True),
        ("**/*.pyc", "c.pyc", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab]x", "bx", True),
        ("[!ab]x", "bx", False),
        ("[!ab]x", "cx", True),
        ("a[!b]c", "a/c", False),
        ("[]x]", "]", True),
        ("a[", "a[", True),
        ("[^a]", "^", True),
        ("a.b+(c)", "a.b+(c)", True),
        ("a.b", "axb", False),
        ("*", ".hidden", True),
        ("a*", "a\nb", True),
    ],
)
def test_wildcards(pattern: str, path: str, matches: bool) -> None:
    """`*`, `?` and `[...]` stay within one name, `**` crosses directories, all else stands for itself."""
    assert patterns.path_matcher(pattern)(path) is matches


def test_what_is_no_pattern_is_told() -> None:
    """A range from the upper to the lower sign, in words."""
    with pytest.raises(StageError, match=r"/\[z-a\]x is no pattern"):
        patterns.path_matcher("/[z-a]x")


@pytest.mark.parametrize(
    ("path", "excluded"),
    [("a.o", True), ("deep/down/b.o", True), ("build", True), ("x/build", False), ("docs/a.txt", True), ("x.c", False)],
)
def test_exclusions(path: str, excluded: bool) -> None:
    """A pattern without a slash counts anywhere, one with a slash from the folder's top."""
    assert patterns.excluder(["*.o", "/build", "docs/*.txt"])(path) is excluded


@pytest.mark.parametrize(("pattern", "has"), [("/a/b", False), ("/a/*", True), ("/a?", True), ("/[ab]", True)])
def test_wildcards_are_told(pattern: str, has: bool) -> None:
    """A plain path is told from a pattern."""
    assert patterns.has_wildcard(pattern) is has
