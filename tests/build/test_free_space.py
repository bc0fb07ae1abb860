"""Room on the disk: asked for before a stage begins, missed in words when it runs out, and nothing lost either way."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.toy_project import ToyProject

SIZE = 64 << 10  # bytes of the first line, and so of four outputs
SEAM = """
from bootsmith.tasks.build import free_space
from pathlib import Path
really = free_space.free
free_space.free = lambda path: int(Path("free").read_text()) if Path("free").exists() else really(path)
"""


def line(seed: int) -> str:
    """A line of text that does not pack well."""
    return random.Random(seed).randbytes(SIZE // 2).hex()[: SIZE - 1] + "\n"


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    """A toy project with outputs of 64 KiB, built; the file `free` says how much room there seems to be."""
    project = ToyProject.make(tmp_path)
    dodo = tmp_path / "dodo.py"
    dodo.write_text(dodo.read_text() + SEAM)
    (tmp_path / "source").write_text(line(1))
    project.image()
    return project


def free(project: ToyProject, size: int) -> None:
    (project.top / "free").write_text(str(size))


def refused(project: ToyProject, stage: str) -> str:
    """Run `doit image`, which must refuse a stage as explain says it will, and lose nothing; return what it says."""
    folder = project.top / "build/toy"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    told = project.doit("explain").stdout
    done = project.doit("image")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    (said,) = [text for text in done.stdout.splitlines() if f"ERROR: {stage} needs about" in text]
    assert said.removeprefix("ERROR: ") in told
    assert {path: path.read_bytes() for path in before} == before
    return said


def test_a_stage_without_room_is_refused_before_it_begins(project: ToyProject) -> None:
    """What it took the last time is more than is free: exit 1, named with both sizes, the last image untouched."""
    (project.top / "source").write_text(line(2))
    free(project, SIZE - 1)
    said = refused(project, "rootfs")
    assert said.endswith("rootfs needs about 64.0 KiB, 64.0 KiB free in build/toy")
    free(project, SIZE)  # just what it took: that may do
    assert project.doit("rootfs").returncode == 0
    free(project, 2 * SIZE)
    project.image()
    assert project.disk().startswith(line(2)[:100].upper())


def test_what_was_never_built_is_never_refused(tmp_path: Path) -> None:
    """Without a past, nobody knows what a stage takes: it may try."""
    project = ToyProject.make(tmp_path)
    dodo = tmp_path / "dodo.py"
    dodo.write_text(dodo.read_text() + SEAM)
    free(project, 0)
    assert "rootfs" in project.image()
    assert project.image() == []  # and what is fresh needs nothing


def test_a_lost_build_directory_is_remembered(project: ToyProject) -> None:
    """After `rm -rf build` the history still knows what a stage of this build takes."""
    shutil.rmtree(project.top / "build")
    (project.top / "source").write_text(line(2))
    free(project, SIZE // 2)
    told = project.doit("explain").stdout
    assert "will fail: rootfs needs about 64.0 KiB, 32.0 KiB free in" in told
    done = project.doit("image")
    assert done.returncode == 1
    assert "rootfs needs about 64.0 KiB" in done.stdout


def test_a_patched_disk_needs_only_what_is_new(project: ToyProject) -> None:
    """The disk is changed where it lies, so it passes where a copy would not; the stage that copies it does not."""
    (project.top / "tree/new").touch()
    free(project, SIZE // 2)
    done = project.doit("image")
    assert done.returncode == 1
    assert "built    assemble" in done.stdout
    assert "ERROR: convert/qcow2 needs about" in done.stdout


def test_restoring_asks_for_room_too(project: ToyProject) -> None:
    """What is to come out of the store needs its size."""
    original = project.disk()
    (project.top / "source").write_text(line(2))
    project.image()
    (project.top / "source").write_text(line(1))
    free(project, SIZE // 2)
    refused(project, "rootfs")
    free(project, 2 * SIZE)
    project.image()
    assert project.disk() == original


def test_what_is_restored_needs_its_own_size(project: ToyProject) -> None:
    """After a large build an earlier, small one comes out of the store into little room: its size is known."""
    (project.top / "source").write_text("small\n")
    project.image()
    (project.top / "source").write_text(line(1))
    project.image()
    (project.top / "source").write_text("small\n")
    free(project, SIZE // 2)
    done = project.doit("rootfs")
    assert done.returncode == 0, done.stdout
    assert "restored rootfs" in done.stdout


def test_a_stage_that_shrank_may_try(project: ToyProject) -> None:
    """What was large is small now, which nobody can know: the refusal names the way out, and then it is built."""
    (project.top / "source").write_text("small\n")
    free(project, SIZE // 2)
    assert "needs about" in refused(project, "rootfs")
    assert "BOOTSMITH_SPACE=try begins" in project.doit("image").stdout
    project.variables["BOOTSMITH_SPACE"] = "no"
    wrong = project.doit("image")
    assert "BOOTSMITH_SPACE=no means nothing" in wrong.stdout + wrong.stderr
    project.variables["BOOTSMITH_SPACE"] = "try"
    assert "will fail" not in project.doit("explain").stdout
    said = project.doit("image")
    assert said.returncode == 0, said.stdout
    assert "rootfs needs about 64.0 KiB, 32.0 KiB free in build/toy: it was tried all the same" in said.stdout
    assert project.disk().startswith("SMALL")
    del project.variables["BOOTSMITH_SPACE"]
    (project.top / "source").write_text("other\n")
    assert "rootfs" in project.image()  # it is known by now


def test_storing_counts_where_it_is_the_same_disk(project: ToyProject) -> None:
    """A store that has nothing of a stage needs as much as it took; where it has the last version, nobody knows."""
    (project.top / "source").write_text(line(2))
    free(project, SIZE)
    assert project.doit("rootfs").returncode == 0
    for folder in ("indexes", "chunks"):
        shutil.rmtree(project.cache / folder)
    (project.top / "source").write_text(line(3))
    said = refused(project, "rootfs")
    assert float(said.partition("about ")[2].split()[0]) > SIZE / 1024 + 20
    free(project, 3 * SIZE)
    assert "rootfs" in project.image()


INSIDE = """
mount -t tmpfs -o size="$1" tmpfs build || exit 99
"$2" -m doit image; echo "status $?"
mount -o remount,size=64m build || exit 99
"$2" -m doit image; echo "status $?"
cat build/toy/disk.qcow2 >&2
"""


@pytest.mark.soak(ci=12, whole=400)
def test_a_full_disk_is_words_and_the_next_run_is_whole(tmp_path: Path, rounds: int) -> None:
    """On a disk that is too small in every way, from nothing to enough: exit 1, said; with room, the right image."""
    project = ToyProject.make(tmp_path, cache=tmp_path / "build/.cache")
    (tmp_path / "source").write_text(line(1))
    (tmp_path / "build").mkdir()
    enter = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "sh", "-c", INSIDE, "sh"]
    failed = passed = 0
    largest = 200  # pages of 4 KiB: more than all of it takes
    for step in range(rounds):
        pages = 2 + (largest - 2) * step // (rounds - 1)
        done = subprocess.run(
            [*enter, f"{4 * pages}k", sys.executable],
            cwd=tmp_path, env=project.environment(), text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        first, _, second = done.stdout.partition("\nstatus ")
        shown = done.stdout + done.stderr[:2000]
        assert "Traceback" not in shown, f"{pages} pages: {shown}"
        assert second.endswith("status 0\n"), f"{pages} pages: {shown}"
        assert done.stderr.endswith(line(1)[:-1].upper() + "one7a"), f"{pages} pages: {shown}"
        if second.startswith("0"):
            passed += 1
        else:
            failed += 1
            assert second.startswith("1\n"), f"{pages} pages: {shown}"
            assert "No space left" in first + done.stderr or "no space left" in first, f"{pages} pages: {shown}"
    assert failed
    assert passed
