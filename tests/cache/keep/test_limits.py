"""cache/keep/limits.py: what a person writes, in bytes and seconds."""

from __future__ import annotations

import pytest
from bootsmith.cache.errors import UsageError
from bootsmith.cache.keep.limits import DEFAULT_SIZE, Limits, from_environment, parse_age, parse_size

GIB = 1 << 30
DAY = 86400


def test_without_a_word_the_size_is_limited_and_the_age_is_not() -> None:
    """Empty is as good as unset."""
    assert from_environment({}) == Limits(DEFAULT_SIZE, None)
    assert from_environment({"BOOTSMITH_CACHE_SIZE": "", "BOOTSMITH_CACHE_AGE": ""}) == Limits(DEFAULT_SIZE, None)


def test_the_environment_sets_both() -> None:
    """Each by its own variable; none lifts a limit, and 0 is the narrowest."""
    assert from_environment({"BOOTSMITH_CACHE_SIZE": "5G", "BOOTSMITH_CACHE_AGE": "90d"}) == Limits(5 * GIB, 90 * DAY)
    assert from_environment({"BOOTSMITH_CACHE_SIZE": "none", "BOOTSMITH_CACHE_AGE": "none"}) == Limits(None, None)
    assert from_environment({"BOOTSMITH_CACHE_SIZE": "0", "BOOTSMITH_CACHE_AGE": "0"}) == Limits(0, 0)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1K", 1 << 10), ("500M", 500 << 20), ("1.5G", 3 * GIB // 2), ("2T", 2 << 40), ("0", 0), ("none", None)],
)
def test_sizes(text: str, size: int | None) -> None:
    """Binary units."""
    assert parse_size(text, "--size") == size


@pytest.mark.parametrize(
    ("text", "age"), [("90m", 5400), ("12h", DAY / 2), ("90d", 90 * DAY), ("2w", 14 * DAY), ("0", 0), ("none", None)]
)
def test_ages(text: str, age: float | None) -> None:
    """Minutes, hours, days, weeks."""
    assert parse_age(text, "--age") == age


@pytest.mark.parametrize("text", ["20", "G", "20 G", "-1G", "20g", "20GB", "1e3G", "٢G", "90d", "1,5G", "9" * 40 + "G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With the place it stands in, and what to write instead."""
    with pytest.raises(UsageError, match="BOOTSMITH_CACHE_SIZE") as error:
        from_environment({"BOOTSMITH_CACHE_SIZE": text})
    assert "20G" in error.value.hint


@pytest.mark.parametrize("text", ["90", "d", "90 d", "-1d", "90D", "20G"])
def test_what_is_no_age_is_refused(text: str) -> None:
    """In the same words."""
    with pytest.raises(UsageError, match="--age") as error:
        parse_age(text, "--age")
    assert "90d" in error.value.hint
