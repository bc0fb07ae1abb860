"""Stats of what was looked at: whether anything was written between two looks, whatever it holds now."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.stats import Stats
from bootsmith.cache.files import clock


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree that has rested."""
    top = tmp_path / "tree"
    (top / "folder").mkdir(parents=True)
    for name in ("file", "folder/inner"):
        (top / name).write_text("text")
    (top / "link").symlink_to("file")
    clock.rest_until(max(clock.marked(path.lstat()) for path in top.rglob("*")))
    return top


def look(path: Path) -> tuple[str, bytes]:
    """Return a fingerprint, and the stats that were taken in on the way."""
    stats = Stats()
    return fingerprint(path, stats=stats), stats.digest


def rewritten(top: Path) -> None:
    """Write the same text."""
    (top / "file").write_text("text")


def times_put_back(top: Path) -> None:
    """Write the same text, and give it the times it had."""
    before = (top / "folder/inner").stat()
    (top / "folder/inner").write_text("text")
    os.utime(top / "folder/inner", ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_and_back(top: Path) -> None:
    """Call a file otherwise for a while."""
    (top / "file").rename(top / "other")
    (top / "other").rename(top / "file")


def copied(top: Path) -> None:
    """Put a copy, times and all, in the place of a file."""
    shutil.copy2(top / "file", top / "copy")
    (top / "copy").replace(top / "file")


def name_came_and_went(top: Path) -> None:
    """Have another name for a while."""
    (top / "folder/new").touch()
    (top / "folder/new").unlink()


def link_led_elsewhere(top: Path) -> None:
    """Have a link lead elsewhere for a while."""
    for target in ("elsewhere", "file"):
        (top / "link").unlink()
        (top / "link").symlink_to(target)


@pytest.mark.parametrize(
    "change", [rewritten, times_put_back, renamed_and_back, copied, name_came_and_went, link_led_elsewhere]
)
def test_what_is_the_same_again_was_written_to(change: Callable[[Path], None], tree: Path) -> None:
    """The content is what it was, and the stats tell (V5)."""
    digest, stats = look(tree)
    change(tree)
    assert look(tree)[0] == digest
    assert look(tree)[1] != stats


def test_reading_is_no_writing(tree: Path) -> None:
    """Neither who reads, nor who looks, changes anything."""
    before = look(tree)
    shutil.copytree(tree, tree.with_name("copy"))
    assert look(tree) == before


@pytest.mark.parametrize("name", ["file", "link"])
def test_a_single_file_is_looked_at_with_what_leads_to_it(name: str, tree: Path) -> None:
    """An input may be a link: it counts, and what it leads to."""
    before = look(tree / name)
    (link_led_elsewhere if name == "link" else rewritten)(tree)
    assert look(tree / name)[1] != before[1]


def test_what_was_written_just_now_is_told(tree: Path) -> None:
    """Until then a second change in the same tick might leave the same times."""
    stats = Stats()
    stats.look([tree / "file", tree / "missing"])
    assert stats.marked <= time.time_ns()
    (tree / "file").write_text("text")
    stats.look([tree / "file"])
    assert stats.marked >= (tree / "file").stat().st_ctime_ns
