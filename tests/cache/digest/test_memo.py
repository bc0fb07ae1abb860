"""cache/digest/memo.py: an unchanged file is not read again, a changed one always is."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from bootsmith.cache.digest import fingerprint as fingerprints
from bootsmith.cache.digest import memo
from bootsmith.cache.digest.fingerprint import fingerprint, of_bytes
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.files import clock, mounts

from tests.support import other_process

PLANTED = "0123456789abcdef" * 2  # what no file has: to be given it proves that the file was not read
WRITE_MANY = """
import sys
from pathlib import Path
from bootsmith.cache.files import clock
from bootsmith.cache.digest.memo import Memo
memo = Memo(Path(sys.argv[1]))
for path in sorted(Path(sys.argv[2]).iterdir()):
    memo.put(path.stat(), sys.argv[3] * 16, clock.settled(path.stat()) + 1)
print("ready", flush=True)
sys.stdin.read()
memo.save()
"""


def plant(known: Memo, path: Path, digest: str = PLANTED) -> None:
    """Let a memo believe that a file, which has rested, holds something."""
    known.put(path.stat(), digest, clock.settled(path.stat()) + 1)


def edit(path: Path, content: bytes) -> None:
    """Change a file in place, as often as it takes until its times show it: the kernel's tick may be 10 ms."""
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        path.write_bytes(content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file whose content is known."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def known(tmp_path: Path, file: Path) -> Memo:
    """A memo that knows `file`, kept on disk too."""
    found = Memo(tmp_path / "memo")
    plant(found, file)
    found.save()
    return found


def test_a_known_file_is_not_read_again(file: Path, known: Memo) -> None:
    """An unchanged file keeps its noted fingerprint (V2)."""
    assert fingerprint(file, known) == PLANTED


def test_the_next_process_knows_it_too(file: Path, known: Memo) -> None:
    """What was saved is found by whoever loads the same file."""
    assert fingerprint(file, Memo(known.path)) == PLANTED


def test_files_in_a_tree_are_known_too(tmp_path: Path) -> None:
    """Of an unchanged tree no file is read; other names or modes still count."""
    (tmp_path / "tree").mkdir()
    file = tmp_path / "tree/file"
    file.write_bytes(b"content")
    plain = fingerprint(tmp_path / "tree")
    for digest, same in ((PLANTED, False), (of_bytes(b"content"), True)):
        known = Memo(tmp_path / f"memo of {digest}")  # what it knows of the tree must not outlive what is planted
        plant(known, file, digest)
        assert (fingerprint(tmp_path / "tree", known) == plain) is same


def test_what_was_read_is_noted(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has rested is read once."""
    monkeypatch.setattr(clock, "settled", lambda _: 0)
    known = Memo(tmp_path / "memo")
    assert fingerprint(file, known) == of_bytes(b"content")
    assert known.get(file.stat()) == of_bytes(b"content")


def test_an_edit_of_the_same_size_with_the_old_mtime_shows(file: Path, known: Memo) -> None:
    """Even when an edit hides in size and mtime, ctime tells (V2)."""
    before = file.stat()
    edit(file, b"CONTENT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert fingerprint(file, known) == of_bytes(b"CONTENT")


def test_another_file_at_the_same_path_shows(file: Path, known: Memo) -> None:
    """A file replaced by rename, times and size preserved, is another file."""
    before = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"CONTENT")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert fingerprint(file, known) == of_bytes(b"CONTENT")


def test_a_file_that_has_not_rested_is_not_noted(file: Path, tmp_path: Path) -> None:
    """Read in the very moment of its change, a file may change again without its times showing it."""
    status = file.stat()
    known = Memo(tmp_path / "memo")
    for started in (status.st_ctime_ns - clock.SECOND, status.st_ctime_ns, clock.settled(status)):
        known.put(status, PLANTED, started)
        assert known.get(status) is None
    known.put(status, PLANTED, clock.settled(status) + 1)
    assert known.get(status) == PLANTED


def test_a_file_from_the_future_is_not_noted(file: Path, tmp_path: Path) -> None:
    """A time stamp ahead of the clock says nothing about changes to come."""
    future = clock.settled(file.stat()) + 3600 * clock.SECOND
    os.utime(file, ns=(future, future))
    known = Memo(tmp_path / "memo")
    assert fingerprint(file, known) == of_bytes(b"content")
    assert known.get(file.stat()) is None


def test_a_file_changed_while_it_is_read_is_not_noted(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fingerprint may be of a mixture (V5)."""
    monkeypatch.setattr(clock, "settled", lambda _: 0)
    real = fingerprints.of_descriptor

    def edited_after(descriptor: int) -> str:
        found = real(descriptor)
        edit(file, b"CONTENT")
        return found

    monkeypatch.setattr(fingerprints, "of_descriptor", edited_after)
    known = Memo(tmp_path / "memo")
    fingerprint(file, known)
    assert known.get(file.stat()) is None
    monkeypatch.undo()
    assert fingerprint(file, known) == of_bytes(b"CONTENT")


def test_a_large_file_is_given_the_moment_it_needs(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file just written waits out the tick, so that the next run need not read it again."""
    slept: list[float] = []
    monkeypatch.setattr(fingerprints, "WORTH_WAITING", 1)
    monkeypatch.setattr(fingerprints, "PATIENCE", clock.SECOND)
    monkeypatch.setattr(clock, "settled", lambda _: time.time_ns() + clock.SECOND // 2)
    monkeypatch.setattr(time, "sleep", slept.append)
    fingerprint(file, Memo(tmp_path / "memo"))
    assert len(slept) == 1
    assert 0 < slept[0] <= 0.5
    monkeypatch.setattr(fingerprints, "PATIENCE", clock.SECOND // 4)
    fingerprint(file, Memo(tmp_path / "memo"))
    assert len(slept) == 1, "too long a wait costs more than reading"


@pytest.mark.parametrize("where", ["in this process", "in the next one"])
def test_a_clock_set_back_makes_everything_forgotten(
    file: Path, known: Memo, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Times seen before may come again for another content."""
    low, high = clock.offset()
    back = (low - clock.SECOND, high - clock.SECOND)
    monkeypatch.setattr(clock, "offset", lambda: back)
    if where == "in the next one":
        known = Memo(known.path)
    assert fingerprint(file, known) == of_bytes(b"content")


def test_nothing_noted_before_a_clock_was_set_back_is_saved_after(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process noted under the old clock is not passed on under the new one."""
    known = Memo(tmp_path / "memo")
    plant(known, file)
    low, high = clock.offset()
    monkeypatch.setattr(clock, "offset", lambda: (low - clock.SECOND, high - clock.SECOND))
    other = tmp_path / "other"
    other.touch()
    plant(known, other)  # noticed here, and therefore not noted either
    plant(known, other, "f" * 32)
    known.save()
    assert Memo(known.path).get(file.stat()) is None
    assert Memo(known.path).get(other.stat()) == "f" * 32


def test_a_clock_set_forward_and_back_again_is_noticed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was noted under a clock ahead of time is forgotten when the clock is put right."""
    real = clock.offset()
    known = Memo(tmp_path / "memo")
    monkeypatch.setattr(clock, "offset", lambda: (real[0] + clock.SECOND, real[1] + clock.SECOND))
    plant(known, file)
    known.save()
    assert Memo(known.path).get(file.stat()) == PLANTED
    monkeypatch.setattr(clock, "offset", lambda: real)
    assert known.get(file.stat()) is None
    assert Memo(known.path).get(file.stat()) is None


def test_another_boot_knows_nothing(file: Path, known: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut may have left new times on old content."""
    monkeypatch.setattr(clock, "boot_id", lambda: "00000000-0000-0000-0000-000000000000")
    assert fingerprint(file, Memo(known.path)) == of_bytes(b"content")


def test_a_host_without_boot_ids_keeps_nothing(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boots that cannot be told apart must not share a memo."""
    monkeypatch.setattr(clock, "boot_id", lambda: "")
    known = Memo(tmp_path / "memo")
    plant(known, file)
    known.save()
    assert Memo(known.path).get(file.stat()) is None


def test_a_damaged_memo_knows_nothing(file: Path, known: Memo) -> None:
    """Whatever bit is wrong, no wrong fingerprint comes out (V4)."""
    whole = known.path.read_bytes()
    for position in range(len(whole)):
        known.path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert Memo(known.path).get(file.stat()) is None, position


@pytest.mark.parametrize("keep", [0, 1, 40, -1, -56])
def test_a_memo_cut_short_knows_nothing(file: Path, known: Memo, keep: int) -> None:
    """Half a memo is none, and can be written anew."""
    known.path.write_bytes(known.path.read_bytes()[:keep])
    again = Memo(known.path)
    assert again.get(file.stat()) is None
    plant(again, file)
    again.save()
    assert Memo(known.path).get(file.stat()) == PLANTED


def test_two_memos_of_one_file_add_up(tmp_path: Path, file: Path) -> None:
    """Who saves last keeps what the other saved."""
    other = tmp_path / "other"
    other.touch()
    one, two = Memo(tmp_path / "memo"), Memo(tmp_path / "memo")
    plant(one, file)
    plant(two, other, "f" * 32)
    one.save()
    two.save()
    both = Memo(tmp_path / "memo")
    assert both.get(file.stat()) == PLANTED
    assert both.get(other.stat()) == "f" * 32


def test_processes_that_save_at_once_lose_nothing(tmp_path: Path) -> None:
    """However many processes end together, each one's notes are kept."""
    digits = "abcd"
    for digit in digits:
        (tmp_path / digit).mkdir()
        for number in range(50):
            (tmp_path / digit / str(number)).touch()
    peers = [
        other_process.start(WRITE_MANY, tmp_path / "memo", tmp_path / digit, f"{digit}{digit}") for digit in digits
    ]
    for process in peers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in peers:
        other_process.finish(process)
    found = Memo(tmp_path / "memo")
    for digit in digits:
        assert {found.get(path.stat()) for path in (tmp_path / digit).iterdir()} == {digit * 32}


def test_a_memo_that_cannot_be_written_costs_nothing_else(file: Path) -> None:
    """No room or no permission for the memo fails no build."""
    known = Memo(file / "below a file" / "memo")
    plant(known, file)
    known.save()
    assert known.get(file.stat()) == PLANTED


def test_a_memo_with_nothing_new_is_not_written(known: Memo, file: Path) -> None:
    """A no-op writes nothing."""
    known.path.unlink()
    assert known.get(file.stat()) == PLANTED
    known.save()
    assert not known.path.exists()


def test_a_memo_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit only what was used is kept."""
    monkeypatch.setattr(memo, "LIMIT", 20)
    files = [tmp_path / str(number) for number in range(21)]
    for path in files:
        path.touch()
    first = Memo(tmp_path / "memo")
    for path in files[:-1]:
        plant(first, path)
    first.save()
    second = Memo(tmp_path / "memo")
    assert second.get(files[0].stat()) == PLANTED
    plant(second, files[-1])
    second.save()
    third = Memo(tmp_path / "memo")
    assert [third.get(path.stat()) for path in files] == [PLANTED, *[None] * 19, PLANTED]


def test_threads_share_a_memo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that run at the same time note and look up without losing anything."""
    monkeypatch.setattr(clock, "settled", lambda _: 0)
    files = [tmp_path / f"file {number}" for number in range(100)]
    for number, path in enumerate(files):
        path.write_bytes(b"%d" % number)
    known = Memo(tmp_path / "memo")
    results: list[list[str]] = []

    def work() -> None:
        results.append([fingerprint(path, known) for path in files])
        known.save()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[of_bytes(b"%d" % number) for number in range(100)]] * 4
    saved = Memo(tmp_path / "memo")
    assert all(saved.get(path.stat()) for path in files)


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the mounts of the device, which may be exchanged, that the tests' files are on."""
    ids = [7, 9]
    monkeypatch.setattr(mounts, "is_exchangeable", lambda _: True)
    monkeypatch.setattr(mounts, "mounts", lambda _: frozenset(ids))
    return ids


@pytest.mark.parametrize(("later", "known"), [([7, 9], True), ([9, 12], True), ([12], False), ([], False)])
def test_an_image_mounted_in_the_place_of_another_is_read(
    later: list[int], known: bool, mounted: list[int], file: Path, tmp_path: Path
) -> None:
    """Its files may have the device, inodes and times that others had: a mount that is still there tells (V2)."""
    first = Memo(tmp_path / "memo")
    plant(first, file)
    first.save()
    mounted[:] = later
    assert (Memo(tmp_path / "memo").get(file.stat()) == PLANTED) is known


def test_what_others_note_of_another_mount_saves_nothing_of_this(
    mounted: list[int], file: Path, tmp_path: Path
) -> None:
    """Processes note beside each other: each entry rests on the mounts that its own process saw."""
    first, other = Memo(tmp_path / "memo"), tmp_path / "other"
    plant(first, file)
    mounted[:] = [12]
    second = Memo(tmp_path / "memo")
    other.write_bytes(b"other")
    plant(second, other)
    second.save()
    first.save()
    last = Memo(tmp_path / "memo")
    assert last.get(file.stat()) is None
    assert last.get(other.stat()) == PLANTED
