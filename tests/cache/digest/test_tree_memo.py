"""cache/digest/tree_memo.py: of an unchanged tree no file is read, whoever else uses the cache; every change shows."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from bootsmith.cache.digest import fingerprint as fingerprints
from bootsmith.cache.digest import memo as memos
from bootsmith.cache.digest import tree
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.digest.stats import Stats
from bootsmith.cache.files import clock, mounts

from tests.support.tree_edits import TreeEdits

pytestmark = pytest.mark.usefixtures("_rested")


@pytest.fixture
def _rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files just made have rested."""
    monkeypatch.setattr(clock, "settled", lambda _: 0)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A tree with a little of everything."""
    found = tmp_path / "tree"
    (found / "etc/empty").mkdir(parents=True)
    (found / "etc/motd").write_bytes(b"hello")
    (found / "etc/link").symlink_to("motd")
    (found / "run.sh").write_bytes(b"#!/bin/sh\n")
    os.link(found / "run.sh", found / "etc/run.sh")
    os.setxattr(found / "etc/motd", "user.note", b"1")
    return found


@pytest.fixture
def known(tmp_path: Path, top: Path) -> Memo:
    """A memo, kept on disk too, of who looked at the tree twice: at a file of two names the first look is at one."""
    found = Memo(tmp_path / "memo")
    for _ in range(2):
        fingerprint(top, found)
    found.save()
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is read, as a list of file descriptors."""
    found: list[int] = []
    real = fingerprints.of_descriptor

    def counted(descriptor: int) -> str:
        found.append(descriptor)
        return real(descriptor)

    monkeypatch.setattr(fingerprints, "of_descriptor", counted)
    return found


def kept(known: Memo) -> list[Path]:
    """Return the files of trees that are kept."""
    return sorted(known.path.with_name("memo.trees").iterdir())


def test_nothing_of_an_unchanged_tree_is_read(top: Path, known: Memo, reads: list[int]) -> None:
    """Neither in the process that read it nor in the next (V2)."""
    plain = fingerprint(top)
    reads.clear()
    assert fingerprint(top, known) == plain
    assert fingerprint(top, Memo(known.path)) == plain
    assert not reads


def test_of_a_changed_tree_what_changed_is_read(top: Path, known: Memo, reads: list[int]) -> None:
    """One file edited is one file read."""
    (top / "etc/motd").write_bytes(b"hello, world")
    again = Memo(known.path)
    assert fingerprint(top, again) == fingerprint(top)
    assert len(reads) == 1 + 2, "one, and then all without a memo"


def test_other_trees_make_nothing_forgotten(
    top: Path, known: Memo, tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files other projects look at through the same cache, and however few this has (V2)."""
    monkeypatch.setattr(memos, "LIMIT", 1)
    for number in range(5):
        other = tmp_path / f"other {number}"
        other.mkdir()
        (other / "file").write_bytes(b"%d" % number)
        process = Memo(known.path)
        fingerprint(other, process)
        process.save()
    reads.clear()
    fingerprint(top, Memo(known.path))
    assert not reads
    assert len(kept(known)) == 6


def test_what_is_kept_of_a_tree_is_what_it_holds(top: Path, known: Memo) -> None:
    """A tree that shrank leaves nothing of what it held."""
    (file,) = kept(known)
    for number in range(100):
        (top / f"etc/{number}").touch()
    process = Memo(known.path)
    large = 2 * file.stat().st_size
    fingerprint(top, process)
    process.save()
    assert file.stat().st_size > large
    for number in range(100):
        (top / f"etc/{number}").unlink()
    process = Memo(known.path)
    fingerprint(top, process)
    process.save()
    assert file.stat().st_size < large


def test_a_tree_with_nothing_new_is_not_written(top: Path, known: Memo) -> None:
    """A no-op writes nothing."""
    kept(known)[0].unlink()
    fingerprint(top, known)
    known.save()
    assert kept(known) == []


def test_a_tree_that_is_asked_for_stays(top: Path, known: Memo) -> None:
    """Its file's time says when it was last asked for, to the day: by that gc lets it go."""
    (file,) = kept(known)
    os.utime(file, (0, 0))
    fingerprint(top, Memo(known.path))
    assert file.stat().st_mtime > 0


def test_a_file_that_has_not_rested_is_read_again(
    top: Path, known: Memo, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit in the very moment of a look might leave the times as they are (V2)."""
    monkeypatch.undo()
    process = Memo(known.path)
    (top / "etc/motd").write_bytes(b"HELLO")
    monkeypatch.setattr(clock, "settled", lambda status: status.st_ctime_ns + 3600 * clock.SECOND)
    fingerprint(top, process)
    process.save()
    (file,) = kept(known)
    for each in (process, Memo(known.path)):
        seen: list[bytes] = []
        monkeypatch.setattr(fingerprints, "_file", lambda path, *_, seen=seen, **__: seen.append(path) or "0" * 32)
        fingerprint(top, each)
        assert seen == [os.fsencode(top / "etc/motd")]
    assert file.exists()
    assert not reads


def test_a_file_changed_while_it_is_read_is_read_again(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read may be of a mixture (V5)."""
    process = Memo(tmp_path / "memo")
    real = fingerprints.of_descriptor

    def edited_after(descriptor: int) -> str:
        found = real(descriptor)
        before = (top / "run.sh").stat().st_ctime_ns
        while (top / "run.sh").stat().st_ctime_ns == before:
            (top / "run.sh").write_bytes(b"edited")
        return found

    monkeypatch.setattr(fingerprints, "of_descriptor", edited_after)
    fingerprint(top, process)
    monkeypatch.setattr(fingerprints, "of_descriptor", real)
    assert fingerprint(top, process) == fingerprint(top)


@pytest.mark.parametrize("where", ["in this process", "in the next one", "in the middle of a look"])
def test_a_clock_set_back_makes_everything_forgotten(
    where: str, top: Path, known: Memo, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times seen before may come again for another content: nothing that was known counts."""
    low, high = clock.offset()
    back = (low - clock.SECOND, high - clock.SECOND)
    if where == "in the next one":
        monkeypatch.setattr(clock, "offset", lambda: back)
        known = Memo(known.path)
    elif where == "in this process":
        monkeypatch.setattr(clock, "offset", lambda: back)
    else:
        real = tree.folders

        def set_back(*words: object, **more: object) -> object:
            yield from real(*words, **more)  # type: ignore[arg-type]
            monkeypatch.setattr(clock, "offset", lambda: back)

        monkeypatch.setattr(tree, "folders", set_back)
    fingerprint(top, known)
    assert len(reads) == 2


@pytest.mark.parametrize("boot", ["00000000-0000-0000-0000-000000000000", ""])
def test_another_boot_knows_nothing(
    boot: str, top: Path, known: Memo, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may have left new times on old content; boots that cannot be told apart share nothing."""
    monkeypatch.setattr(clock, "boot_id", lambda: boot)
    fingerprint(top, Memo(known.path))
    assert len(reads) == 2


def test_a_damaged_file_knows_nothing(top: Path, known: Memo) -> None:
    """Whatever bit is wrong, and wherever it is cut, no wrong fingerprint comes out (V4)."""
    (file,) = kept(known)
    whole, right = file.read_bytes(), fingerprint(top)
    for position in range(0, len(whole), 7):
        for wrong in (whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :], whole[:position]):
            file.write_bytes(wrong)
            assert fingerprint(top, Memo(known.path)) == right, position


@pytest.mark.parametrize(("later", "is_known"), [([7, 9], True), ([9, 12], True), ([12], False), ([], False)])
def test_an_image_mounted_in_the_place_of_another_is_read(
    later: list[int], is_known: bool, top: Path, tmp_path: Path, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files may have the device, inodes and times that others had: a mount that is still there tells (V2)."""
    ids = [7, 9]
    monkeypatch.setattr(mounts, "is_exchangeable", lambda _: True)
    monkeypatch.setattr(mounts, "mounts", lambda _: frozenset(ids))
    first = Memo(tmp_path / "memo")
    for _ in range(2):
        fingerprint(top, first)
    first.save()
    ids[:] = later
    reads.clear()
    fingerprint(top, Memo(first.path))
    assert (not reads) is is_known


def test_a_cache_that_cannot_be_written_costs_nothing_else(top: Path, tmp_path: Path, reads: list[int]) -> None:
    """No room or no permission fails no build; the process itself knows the tree all the same."""
    (tmp_path / "file").touch()
    known = Memo(tmp_path / "file/below a file/memo")
    for _ in range(2):
        fingerprint(top, known)
    known.save()
    reads.clear()
    fingerprint(top, known)
    assert not reads


def test_threads_look_at_a_tree_at_once(top: Path, tmp_path: Path) -> None:
    """Stages that run at the same time may have the same folder as an input."""
    known, found = Memo(tmp_path / "memo"), []

    def work() -> None:
        for _ in range(5):
            found.append(fingerprint(top, known))
            known.save()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [fingerprint(top)] * 20


def test_a_tree_of_more_than_is_listed_says_so(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a listing sees that there is none."""
    monkeypatch.setattr(tree, "LISTED", 3)
    listing: dict[str, str] = {}
    fingerprint(top, listing=listing)
    assert listing == tree.UNLISTED


def test_a_folder_that_goes_away_while_we_look_was_never_there(
    top: Path, known: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what was in it, should it come back meanwhile; and the next look sees all (V5)."""
    process = Memo(known.path)
    (top / "passing/below").mkdir(parents=True)
    (top / "passing/below/file").touch()
    whole = fingerprint(top)
    real = tree.attributes

    def vanished(path: bytes) -> bytes:
        if path.endswith(b"/passing"):
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr(tree, "attributes", vanished)
    without = fingerprint(top, process)
    monkeypatch.setattr(tree, "attributes", real)
    assert fingerprint(top, process) == whole != without


def test_stats_show_what_is_put_back(top: Path, known: Memo) -> None:
    """An edit and its undo leave contents as they were: two looks at the stats differ (V5)."""
    looks = [Stats() for _ in range(3)]
    fingerprint(top, known, stats=looks[0])
    fingerprint(top, known, stats=looks[1])
    before = (top / "etc/motd").stat().st_ctime_ns
    while (top / "etc/motd").stat().st_ctime_ns == before:
        (top / "etc/motd").write_bytes(b"hello")
    fingerprint(top, known, stats=looks[2])
    assert looks[0].digest == looks[1].digest != looks[2].digest
    assert looks[0].marked < looks[2].marked


@pytest.mark.soak(ci=60, whole=3000)
def test_a_memo_never_tells_of_what_was(tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any edit a look with a memo, of this process or a new one, gives what one without it gives (V2, V3)."""
    monkeypatch.undo()  # files rest, or not, as they do
    chance = random.Random(rounds)
    edits = TreeEdits(tmp_path / "tree", chance, links=True, attributes=True)
    known = Memo(tmp_path / "memo")
    for _ in range(rounds):
        said = SimpleNamespace(edit=edits.edit())
        assert fingerprint(edits.top, known) == fingerprint(edits.top), said
        if chance.random() < 0.3:
            known.save()
            known = Memo(known.path)
