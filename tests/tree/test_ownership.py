"""Whose a directory's files are inside a guest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import ownership
from bootsmith.tasks.tree.ownership import Owners


def status(uid: int, gid: int) -> os.stat_result:
    """Return the status of a file with these owners."""
    return os.stat_result((0o100644, 1, 1, 1, uid, gid, 0, 0, 0, 0))


RANGE = ((100_000, 65_536),)


@pytest.mark.parametrize(
    ("owners", "outside", "inside"),
    [
        (Owners(0, 0), (0, 0), (0, 0)),  # a tree that root made
        (Owners(0, 0), (33, 34), (33, 34)),
        (Owners(1000, 1000), (1000, 1000), (0, 0)),  # one's own files
        (Owners(1000, 100, RANGE, RANGE), (1000, 100), (0, 0)),  # podman
        (Owners(1000, 1000, RANGE, RANGE), (100_000, 100_032), (1, 33)),
        (Owners(100_000, 100_000, RANGE, RANGE), (100_000, 100_000), (0, 0)),  # mmdebstrap
        (Owners(100_000, 100_000, RANGE, RANGE), (100_033, 100_001), (33, 1)),
        (Owners(1000, 1000, RANGE, RANGE), (5, 70_000), (5, 70_000)),
        (Owners(9, 9, ((10, 2), (50, 2)), ()), (51, 9), (4, 0)),
    ],
)
def test_the_guest_s_numbers(owners: Owners, outside: tuple[int, int], inside: tuple[int, int]) -> None:
    """The top's owner is root; subordinate ids are what podman or mmdebstrap meant; other numbers stay (A2)."""
    assert owners.inside(*outside) == inside


def test_the_digest_tells_owners_apart(tmp_path: Path) -> None:
    """Equal owners give equal digests, whatever the files hold."""
    (tmp_path / "a").write_text("one")
    before = ownership.facts(tmp_path).owners
    (tmp_path / "a").write_text("two")
    assert ownership.facts(tmp_path).owners == before


def test_the_digest_tells_times_apart(tmp_path: Path) -> None:
    """Another second of a file, a link, a folder or the top is another digest; less than a second is none (A4)."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below/a").touch()
    (tmp_path / "link").symlink_to("below")
    places = ["", "below", "below/a", "link"]
    for number, place in enumerate(places):
        os.utime(tmp_path / place, ns=(0, number * 10**9), follow_symlinks=False)
    found = {ownership.facts(tmp_path)}
    for place in places:
        os.utime(tmp_path / place, ns=(0, 9 * 10**9), follow_symlinks=False)
        found.add(ownership.facts(tmp_path))
    assert len({each.times for each in found}) == 5
    assert len({each.owners for each in found}) == 1
    before = ownership.facts(tmp_path)
    os.utime(tmp_path / "below/a", ns=(0, 9 * 10**9 + 5))
    assert ownership.facts(tmp_path) == before


@pytest.mark.parametrize(("seconds", "seen"), [(-(1 << 40), -(1 << 31)), (-5, -5), (1 << 40, 15_032_385_535)])
def test_times_that_no_disk_can_tell(seconds: int, seen: int) -> None:
    """A time beyond what ext4 holds is the nearest that it does, as Linux itself has it."""
    assert ownership.mtime(os.stat_result((0,) * 10, {"st_mtime_ns": seconds * 10**9})) == seen


def test_the_digest_tells_rules_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another rule is another digest: by it access control lists name others, even where all files are root's."""
    found = {ownership.facts(tmp_path).owners}
    for each in (Owners(1, 2), Owners(1, 2, RANGE), Owners(1, 2, (), RANGE), Owners(1, 2, RANGE, RANGE)):
        monkeypatch.setattr(ownership, "of", lambda _, rule=each: rule)
        found.add(ownership.facts(tmp_path).owners)
    assert len(found) == 5


def test_a_mounted_tree_is_refused() -> None:
    """A directory with something mounted in it, such as a host's own root, is refused, saying what to unmount."""
    with pytest.raises(StageError, match=r"something is mounted at /.*\n.*umount"):
        ownership.facts(Path("/"))
