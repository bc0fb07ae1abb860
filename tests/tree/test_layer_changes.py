"""What two indexes of a layer tell of its members."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bootsmith.tasks.tree import layer, layer_changes
from bootsmith.tasks.tree.tar import Entry

HELD = Entry("a", "f", size=1, digest="11")
OTHER = Entry("b", "d", 0o755)


def between(tmp_path: Path, old: list[Entry], new: list[Entry]) -> list[tuple[Entry, Entry]] | None:
    """Return what differs between layers of these members."""
    for name, members in (("old", old), ("new", new)):
        layer.write_index(tmp_path / name, members)
    return layer_changes.between((tmp_path / "old").read_bytes(), tmp_path / "new")


def test_members_that_differ_are_told_as_they_were_and_are(tmp_path: Path) -> None:
    """By content, by mode, by name; of none where all are as they were."""
    assert between(tmp_path, [HELD, OTHER], [HELD, OTHER]) == []
    for changed in (HELD._replace(digest="22"), HELD._replace(mode=0o600), HELD._replace(path="c")):
        assert between(tmp_path, [OTHER, HELD], [OTHER, changed]) == [(HELD, changed)]
        assert between(tmp_path, [HELD, OTHER], [changed, OTHER]) == [(HELD, changed)]


def test_nothing_is_told_where_it_cannot_be(tmp_path: Path) -> None:
    """Of more members or fewer, and of files that nobody read: these may hold anything."""
    assert between(tmp_path, [HELD], [HELD, OTHER]) is None
    unread = HELD._replace(digest="")
    assert between(tmp_path, [unread], [unread]) is None


@pytest.mark.parametrize("seed", range(5))
def test_differences_are_found_wherever_they_are(tmp_path: Path, seed: int) -> None:
    """In indexes of many lines, near and far from each other, first and last, and longer than before."""
    chance = random.Random(seed)
    old = [Entry(f"{number}", "f", size=chance.randrange(9999), digest=f"{number}") for number in range(4000)]
    for places in ([0], [3999], [], [0, 3999], chance.sample(range(4000), 3), [2000, 2001]):
        new = old.copy()
        for place in places:
            new[place] = old[place]._replace(mode=chance.choice([0o7, 0o777]), digest="other" * chance.randrange(1, 9))
        found = between(tmp_path, old, new)
        assert found is not None
        told = [(one._replace(offset=0), other._replace(offset=0)) for one, other in found]
        assert told == [(old[place], new[place]) for place in sorted(places)]
