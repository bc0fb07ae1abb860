"""Build directories that nobody used for long hold nothing that the store has, and lose nothing that it has not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.keep import builds, gc, roots
from bootsmith.cache.keep.gc import collect
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.store import location
from bootsmith.cache.store import record as records
from bootsmith.cache.store.record import Record
from bootsmith.cache.store.store import Store

from tests.support.four_results import DAY, KEYS, NO_LIMITS, NOTHING, OWN, has, make, outputs

SPARE = {"populate/out": "populate/root", "files/out": "files"}


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> Path:
    """A store with the results of two stages, noted to be used forty days ago."""
    store, build = Store(tmp_path / "store"), tmp_path / "build/x"
    for (name, stage), key, content in zip(SPARE.items(), KEYS, OWN, strict=False):
        make(store, key, content)
        (build / name).parent.mkdir(parents=True)
        (build / name).write_bytes(content)
        record = Record(stage, key, {}, outputs(content))
        records.write(build / f".bootsmith/records/{stage.replace('/', '+')}.json", record)
    (build / "x.raw").write_bytes(OWN[0])
    (build / ".bootsmith/lock").touch()
    store.lease.release()
    roots.note(store.root, build, [], SPARE)
    note = location.root(store.root, build)
    os.utime(note, (time.time() - 40 * DAY,) * 2)
    return store.root


def there(root: Path) -> list[str]:
    """Return the files of the build directory that are there still."""
    build = root.parent / "build/x"
    return sorted(str(path.relative_to(build)) for path in build.glob("[!.]*/*"))


def test_what_the_store_has_leaves_a_directory_long_unused(root: Path) -> None:
    """What was asked for stays, and so does what gives the rest back (W2); a dry run only tells."""
    told = collect(root, NO_LIMITS, dry_run=True)
    assert (told.trimmed, told.freed >= 2 << 20) == (2, True)
    assert there(root) == sorted(SPARE)
    report = collect(root, NO_LIMITS)
    assert (report.trimmed, report.freed) == (told.trimmed, told.freed)
    assert there(root) == []
    assert (root.parent / "build/x/x.raw").read_bytes() == OWN[0]
    assert all(has(root, key) for key in KEYS[:2])
    assert collect(root, NO_LIMITS).trimmed == 0


def test_one_in_use_is_left_alone(root: Path) -> None:
    """By who builds in it now, or did within thirty days; or as long as is asked for."""
    build = root.parent / "build/x"
    with FileLock(build / ".bootsmith/lock"):
        assert collect(root, NO_LIMITS).trimmed == 0
    note = location.root(root, build)
    os.utime(note, (time.time() - 20 * DAY,) * 2)
    assert collect(root, NO_LIMITS).trimmed == 0
    assert collect(root, Limits(None, 25.0 * DAY)).trimmed == 0
    assert there(root) == sorted(SPARE)
    assert collect(root, Limits(None, 10.0 * DAY)).trimmed == 2


def test_what_left_the_store_meanwhile_is_not_counted_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build may have come and gone while results were removed that nobody needed when they were chosen."""
    monkeypatch.setattr(gc, "needs", lambda *_: gc.Needs(set(), set()))
    report = collect(root, NOTHING)
    assert report.removed["results"] == 2
    assert report.trimmed == 0
    assert there(root) == sorted(SPARE)


def lose_a_chunk(root: Path) -> None:
    """Let the store have no more of one result than its name."""
    for path in (root / "chunks").glob("*/*"):
        path.unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        lose_a_chunk,
        lambda root: [path.unlink() for path in (root / "results").glob("*/*")],
        lambda root: [(root.parent / "build/x" / name).write_bytes(b"mine") for name in SPARE],
        lambda root: [(root.parent / "build/x" / name).with_suffix(".2").hardlink_to(
            root.parent / "build/x" / name) for name in SPARE],
        lambda root: [path.unlink() for path in (root.parent / "build/x/.bootsmith/records").glob("*")],
    ],
    ids=["chunks", "results", "others", "links", "records"],
)  # fmt: skip
def test_what_would_have_to_be_made_again_stays(root: Path, spoil: object) -> None:
    """Or is no more what the stage made; a link elsewhere would free nothing."""
    spoil(root)  # type: ignore[operator]
    assert collect(root, NO_LIMITS).trimmed == 0
    assert set(SPARE) <= set(there(root))


def test_a_directory_that_is_gone_is_not_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one that was noted by a version that told nothing of its files."""
    monkeypatch.setattr(builds, "trim", lambda *_, **__: pytest.fail("it is asked"))
    (root.parent / "build").rename(root.parent / "elsewhere")
    assert collect(root, NO_LIMITS).trimmed == 0
