"""cache/store/location.py: where the store is."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.cache.store.location import default_root


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"HOME": "/home/u"}, "/home/u/.cache/bootsmith"),
        ({"HOME": "/home/u", "XDG_CACHE_HOME": "/var/c"}, "/var/c/bootsmith"),
        ({"HOME": "/home/u", "XDG_CACHE_HOME": ""}, "/home/u/.cache/bootsmith"),
        ({"HOME": "/home/u", "XDG_CACHE_HOME": "relative"}, "/home/u/.cache/bootsmith"),
        ({"HOME": "/home/u", "XDG_CACHE_HOME": "/var/c", "BOOTSMITH_CACHE": "/b"}, "/b"),
        ({"HOME": "/home/u", "BOOTSMITH_CACHE": ""}, "/home/u/.cache/bootsmith"),
    ],
)
def test_the_environment_says_where_the_store_is(environ: dict[str, str], root: str) -> None:
    """BOOTSMITH_CACHE first, then the XDG directory, then ~/.cache; an empty variable says nothing."""
    assert default_root(environ) == Path(root)


def test_a_relative_place_is_the_shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative BOOTSMITH_CACHE is made absolute at once: nothing moves when the directory changes."""
    monkeypatch.chdir(tmp_path)
    assert default_root({"BOOTSMITH_CACHE": "cache"}) == tmp_path / "cache"
    assert not (tmp_path / "cache").exists()
