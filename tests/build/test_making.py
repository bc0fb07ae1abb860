"""One stage in the making: what is recorded is what was made of what was read, and a failure leaves nothing behind."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bootsmith.cache.digest import index, tree
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.files.lock import FileLock
from bootsmith.cache.store import record as records
from bootsmith.tasks.build.making import ATTEMPTS
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import StageError

from tests.support import record_locks
from tests.support.quick_stages import Meddler, QuickStages, meddlers


def test_a_failure_leaves_the_last_output_and_no_record(quick: QuickStages) -> None:
    """The file there was is as it was, nobody takes it for the new one, and nothing half made is left."""
    stage = quick.stage("copy")
    quick.builder(stage).ensure(stage)
    quick.source.write_text("fail")
    builder = quick.builder(stage)
    with pytest.raises(StageError, match="the source says fail"):
        builder.ensure(stage)
    assert quick.out.read_text() == "one"
    assert not builder.freshness.record(stage).exists()
    assert not any((builder.state / "tmp").iterdir())
    assert not quick.builder(stage).status(stage).fresh


def test_an_output_that_was_not_made_is_a_bug(quick: QuickStages) -> None:
    """A stage that makes less than it declares is never recorded."""
    stage = quick.stage("nothing")
    with pytest.raises(AssertionError, match="made did not make its output out"):
        quick.builder(stage).ensure(stage)
    assert not quick.builder(stage).freshness.record(stage).exists()


def test_an_input_that_never_rests_ends_the_build(quick: QuickStages) -> None:
    """A source edited during every attempt: exit in words, nothing recorded, no output in place."""
    stage = quick.stage("edit")
    with pytest.raises(StageError, match=f"changed during each of {ATTEMPTS} builds"):
        quick.builder(stage).ensure(stage)
    assert quick.runs == ATTEMPTS
    assert not quick.out.exists()


def put_back(path: Path) -> Meddler:
    """Write something else, and what there was, with the times there were."""
    before, status = path.read_text(), path.stat()
    path.write_text("two")
    yield
    path.write_text(before)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def edited(path: Path) -> Meddler:
    """Write something else."""
    yield
    path.write_text(path.read_text() + "# edited")


def moved_away(path: Path) -> Meddler:
    """Put another in the place of a file, and the file itself back."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.write_text("two")
    yield
    aside.replace(path)


def led_elsewhere(path: Path) -> Meddler:
    """Let a link lead to something else, and back."""
    before = path.readlink()
    path.unlink()
    path.symlink_to("another")
    yield
    path.unlink()
    path.symlink_to(before)


def came_and_went(path: Path) -> Meddler:
    """Make a file in a folder, and remove it."""
    (path / "two").write_text("two")
    yield
    (path / "two").unlink()


def below(meddle: Callable[[Path], Meddler]) -> Callable[[Path], Meddler]:
    return lambda folder: meddle(folder / "file")


@pytest.mark.parametrize(
    "meddle", [put_back, moved_away, led_elsewhere, came_and_went, below(put_back), below(moved_away)]
)
def test_an_edit_that_was_undone_while_it_was_read_is_none(
    meddle: Callable[[Path], Meddler], quick: QuickStages
) -> None:
    """The contents before and after agree, and the stage has read something else: it runs again, and this is said."""
    if meddle is led_elsewhere:
        (quick.top / "another").write_text("two")
        quick.source.rename(quick.top / "file")
        quick.source.symlink_to("file")
    elif meddle not in (put_back, moved_away):
        quick.source.unlink()
        quick.source.mkdir()
        (quick.source / "file").write_text("one")
    stage = quick.stage("meddled")
    meddlers.append(meddle(quick.source))
    done = quick.builder(stage).ensure(stage)
    assert done.notes == ("made: input source was written to while it was built: built again",)
    assert (quick.out.read_text(), quick.runs) == ("one", 2)
    assert quick.builder(stage).status(stage).fresh


def folder_away(path: Path) -> Meddler:
    """Move a folder away, put another in its place, and put it back; then make a file beside what is read."""
    aside = path.with_name("aside")
    path.rename(aside)
    (path / "below").mkdir(parents=True)
    (path / "below/source").write_text("two")
    yield
    shutil.rmtree(path)
    aside.rename(path)
    (path / "unrelated").touch()


def folder_s_link_away(path: Path) -> Meddler:
    """Let the link that stands for a folder lead to another, and back."""
    target = path.readlink()
    path.unlink()
    (path / "below").mkdir(parents=True)
    (path / "below/source").write_text("two")
    yield
    shutil.rmtree(path)
    path.symlink_to(target)


def nested(quick: QuickStages, *, link: bool) -> Path:
    """Put the source into folders, behind a link or not; return the outer one."""
    outer = quick.top / "outer"
    (outer / "below").mkdir(parents=True)
    quick.source.rename(outer / "below/source")
    quick.source = outer / "below/source"
    if link:
        outer.rename(quick.top / "real")
        outer.symlink_to("real")
    return outer


@pytest.mark.parametrize("meddle", [folder_away, folder_s_link_away])
def test_a_folder_above_an_input_that_was_another_meanwhile(
    meddle: Callable[[Path], Meddler], quick: QuickStages
) -> None:
    """No file knows that its folder was moved away and back, and the stage has read another's: it runs again. V5."""
    outer = nested(quick, link=meddle is folder_s_link_away)
    stage = quick.stage("meddled")
    meddlers.append(meddle(outer))
    done = quick.builder(stage).ensure(stage)
    assert done.notes == (f"made: {outer} was moved while it was built: built again",)
    assert (quick.out.read_text(), quick.runs) == ("one", 2)


def beside(path: Path) -> Meddler:
    """Do all kinds of things in the folders above an input, none of them to what leads there."""
    yield
    for folder in (path, path / "below", path.parent):
        (folder / "new").write_text("new")
        (folder / "new").rename(folder / "other")
        (folder / "dir").mkdir()
        (folder / "dir").rename(folder / "dir2")


def test_what_is_done_beside_an_input_is_nothing(quick: QuickStages) -> None:
    """Files and folders made, moved and removed in the folders above an input do not have the stage run again."""
    stage = quick.stage("meddled")
    outer = nested(quick, link=False)
    stage = quick.stage("meddled")
    meddlers.append(beside(outer))
    assert quick.builder(stage).ensure(stage).notes == ()
    assert quick.runs == 1


def moved(path: Path) -> Meddler:
    """Move a folder away and back."""
    yield
    path.rename(path.with_name("aside"))
    path.with_name("aside").rename(path)


def test_a_folder_above_code_that_was_another_meanwhile(quick: QuickStages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is loaded meanwhile may be the other's, and stays loaded: nothing is made of it, nor later on."""
    code = quick.top / "code"
    code.mkdir()
    (quick.top / "quick.py").rename(code / "quick.py")
    monkeypatch.syspath_prepend(code)
    stage = quick.stage("meddled")
    meddlers.append(moved(code))
    builder = quick.builder(stage)
    for _ in range(2):
        with pytest.raises(StageError, match="quick changed while it was being loaded"):
            builder.ensure(stage)
    assert not quick.out.exists()
    assert quick.runs == 1


@pytest.mark.parametrize("meddle", [edited, put_back])
def test_code_that_was_edited_while_it_ran_is_not_run_again(
    meddle: Callable[[Path], Meddler], quick: QuickStages
) -> None:
    """What this process has loaded it has loaded: no key tells which code that is."""
    code = quick.top / "quick.py"
    stage = quick.stage("meddled")
    meddlers.append(meddle(code))
    with pytest.raises(StageError, match="quick changed while it was being loaded"):
        quick.builder(stage).ensure(stage)
    assert not quick.out.exists()
    with pytest.raises(StageError, match="quick changed while it was being loaded"):
        quick.builder(stage).ensure(stage)
    assert quick.runs == 1


def test_a_password_that_was_another_meanwhile(quick: QuickStages) -> None:
    """The file of a secret is an input too."""
    secret = quick.top / "password"
    secret.write_text("secret")
    stage = quick.stage("meddled", secrets={"password": Secret(file=secret)})
    meddlers.append(put_back(secret))
    quick.builder(stage).ensure(stage)
    assert quick.runs == 2


def test_a_program_that_was_another_meanwhile(quick: QuickStages, monkeypatch: pytest.MonkeyPatch) -> None:
    """So are the files of a host program."""
    tool = quick.top / "bin/quicktool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    stage = quick.stage("meddled", tools=("quicktool",))
    meddlers.append(put_back(tool))
    quick.builder(stage).ensure(stage)
    assert quick.runs == 2


@pytest.mark.parametrize(("source", "runs"), [("two", 1), ("no patch", 2)])
def test_a_patch_that_fails_is_made_anew(quick: QuickStages, source: str, runs: int) -> None:
    """Whether the previous output could be patched never shows: the bytes are those of the present source."""
    stage = quick.stage("patch", carry="out")
    quick.builder(stage).ensure(stage)
    before = quick.runs
    quick.source.write_text(source)
    with quick.out.open() as first:  # whose inode no other file can have meanwhile
        assert quick.builder(stage).ensure(stage).state == "built"
        assert quick.out.read_text() == source
        assert quick.runs - before == runs
        assert os.path.samestat(quick.out.stat(), os.fstat(first.fileno())) is (runs == 1)


def test_what_a_machine_runs_on_is_never_patched(quick: QuickStages) -> None:
    """Who holds the previous output keeps it as it is; the new one is another file."""
    stage = quick.stage("patch", carry="out")
    quick.builder(stage).ensure(stage)
    quick.source.write_text("two")
    with quick.out.open() as held:
        lock = FileLock(quick.out, create=False)
        assert lock.acquire(shared=True)
        quick.builder(stage).ensure(stage)
        lock.release()
        assert held.read() == "one"
    assert quick.out.read_text() == "two"


@pytest.mark.parametrize("byte", [100, 201])
def test_what_any_program_runs_on_is_never_patched(quick: QuickStages, byte: int) -> None:
    """QEMU and libvirt know nothing of our lock, and have others."""
    stage = quick.stage("patch", carry="out")
    quick.builder(stage).ensure(stage)
    quick.source.write_text("two")
    with quick.out.open() as open_since, record_locks.held(quick.out, byte):
        quick.builder(stage).ensure(stage)
        assert open_since.read() == "one"
    assert quick.out.read_text() == "two"


def written(source: Path, chance: random.Random) -> None:
    """Write something into some chunks of a source of a few MiB."""
    content = bytearray(source.read_bytes()[: chance.randrange(3, 7) * 1_000_000].ljust(3_000_000, b"x"))
    for _ in range(chance.randrange(3)):
        content[chance.randrange(len(content))] ^= 1
    source.write_bytes(content)


def lose(state: Path) -> None:
    """Lose what is known of files, half of it damaged before."""
    index._recent.clear()
    for number, path in enumerate(sorted((state / "indexes").glob("*"))):
        if number % 2:
            path.write_bytes(path.read_bytes()[:-8])
        else:
            path.unlink()


@pytest.mark.soak(ci=12, whole=300)
def test_an_output_becomes_what_is_known_of_its_source_whoever_meddles(quick: QuickStages, rounds: int) -> None:
    """Written to by somebody, by however little; what is known of it lost or damaged: the bytes are the source's (V11).

    And the record says of it what it holds, though nobody read it.
    """
    chance = random.Random(rounds)
    stage = quick.stage("become", carry="out")
    for _ in range(rounds):
        written(quick.source, chance)
        builder = quick.builder(stage)
        match chance.randrange(5) if quick.out.exists() else 4:
            case 0:
                written(quick.out, chance)
            case 1:
                os.truncate(quick.out, chance.randrange(1 << 21))
            case 2:
                lose(builder.state)
            case 3:
                quick.out.unlink()
        builder.ensure(stage)
        assert quick.out.read_bytes() == quick.source.read_bytes()
        record = records.read(builder.freshness.record(stage))
        assert record is not None
        assert record.outputs["out"]["hash"] == fingerprint(quick.out)
        assert quick.builder(stage).status(stage).fresh


def test_what_a_previous_output_was_made_of_is_known_only_for_certain(quick: QuickStages) -> None:
    """Of one that was written to since, of another key's, or of a stage that was edited, nothing is (V11)."""
    written(quick.source, random.Random(1))
    stage = quick.stage("become", carry="out")

    def told(each: Stage = stage) -> tuple[str, ...]:
        quick.source.write_bytes(quick.source.read_bytes() + b"more")
        return tuple(note.rpartition(" ")[2] for note in quick.builder(each).ensure(each).notes)

    assert (told(), told(), told()) == ((), ("same",), ("same",))
    with quick.out.open("ab") as file:
        file.write(b"by somebody")
    assert (told(), told()) == (("other",), ("same",))
    assert told(stage._replace(params={"another": 1})) == ("other",)


def test_which_folders_of_a_tree_are_as_they_were_is_known_only_for_certain(quick: QuickStages) -> None:
    """By what was kept when the previous output was made, whoever looked at the tree since (V11)."""
    quick.source.unlink()
    for path in ("a/one", "a/deep/two", "b/three", "b/four/five"):
        (quick.source / path).parent.mkdir(parents=True, exist_ok=True)
        (quick.source / path).write_text(path)
    stage = quick.stage("folders", carry="out")

    def told(path: str, text: str) -> list[str]:
        (quick.source / path).write_text(text)
        quick.builder(stage).status(stage)
        return [note.partition(": ")[2] for note in quick.builder(stage).ensure(stage).notes]

    assert told("a/one", "first") == ["none known"]
    assert told("a/one", "second") == ["same a/deep b b/four"]
    assert told("b/four/new", "third") == ["same a a/deep"]
    quick.out.write_text("by somebody")
    assert told("a/one", "fourth") == ["none known"]
    shutil.rmtree(quick.top / "cache/indexes")
    assert told("a/one", "fifth") == ["none known"]


def test_a_stage_that_says_of_an_output_what_cannot_be_is_a_bug(quick: QuickStages) -> None:
    """It is told by the length, and nothing is recorded."""
    written(quick.source, random.Random(1))
    stage = quick.stage("boast")
    with pytest.raises(AssertionError, match="says that its output out has"):
        quick.builder(stage).ensure(stage)
    assert not quick.builder(stage).freshness.record(stage).exists()


def test_what_the_store_has_lost_is_built(quick: QuickStages) -> None:
    """A result whose content is gone restores nothing: the stage runs, and the store has it again."""
    stage = quick.stage("copy")
    quick.builder(stage).ensure(stage)
    shutil.rmtree(quick.top / "build")
    assert quick.builder(stage).ensure(stage).state == "restored"
    shutil.rmtree(quick.top / "build")
    shutil.rmtree(quick.top / "cache/indexes")
    assert quick.builder(stage).ensure(stage).state == "built"
    shutil.rmtree(quick.top / "build")
    assert quick.builder(stage).ensure(stage).state == "restored"
    assert quick.runs == 2


def test_a_folder_is_looked_at_once_before_and_once_after(quick: QuickStages, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen a moment ago, to find a stage stale, is where its making begins."""
    quick.source.unlink()
    quick.source.mkdir()
    (quick.source / "file").write_text("one")
    stage, looks = quick.stage("meddled"), []
    builder, real = quick.builder(stage), tree.folders
    monkeypatch.setattr(tree, "folders", lambda *words, **more: [looks.append(1), *real(*words, **more)][1:])
    assert not builder.status(stage).fresh
    builder.ensure(stage, seen=True)
    assert len(looks) == 2
    assert quick.builder(stage).status(stage).fresh


def test_what_is_edited_after_a_look_is_noticed(quick: QuickStages) -> None:
    """An edit between finding a stage stale and making it is in what is made, and in its record (V5)."""
    quick.source.unlink()
    quick.source.mkdir()
    (quick.source / "file").write_text("one")
    stage = quick.stage("meddled")
    builder = quick.builder(stage)
    assert not builder.status(stage).fresh
    (quick.source / "file").write_text("two")
    builder.ensure(stage, seen=True)
    assert quick.out.read_text() == "two"
    assert quick.builder(stage).status(stage).fresh
    (quick.source / "file").write_text("one")
    quick.builder(stage).ensure(stage)
    assert quick.out.read_text() == "one"
