"""cache/errors.py: what is wrong, then what to do."""

from __future__ import annotations

from bootsmith.cache.errors import CacheError


def test_the_hint_stands_below_the_message() -> None:
    """Both are shown, and each can be had alone."""
    error = CacheError("it is full", "Make room.")
    assert str(error) == "it is full\n  Make room."
    assert (error.message, error.hint) == ("it is full", "Make room.")
    assert str(CacheError("it is full")) == "it is full"
