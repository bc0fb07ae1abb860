"""Many builds on one store: what one makes the others have, and nobody makes it twice."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from bootsmith.cache.keep import roots

from tests.support import other_process
from tests.support.toy_project import ALL, ToyProject

NOT_STORED = ["assemble", "convert/qcow2"]
OUTPUTS = ("base", "names", "upper", "disk.raw", "disk.qcow2")
CLEAR = """
import select, sys
from pathlib import Path
from bootsmith.cache.keep import gc
from bootsmith.cache.keep.limits import Limits
gc.BATCH = 2
count = 0
while not select.select([sys.stdin], [], [], 0.01)[0]:
    gc.collect(Path(sys.argv[1]), Limits(1), waiting=lambda _: None)
    count += 1
print(count)
"""


def crowd(folder: Path, number: int) -> list[ToyProject]:
    """Make projects of the same content, each in its folder, on one store."""
    tops = [folder / f"tree{each}" for each in range(number)]
    for top in tops:
        top.mkdir()
    return [ToyProject.make(top, cache=folder / "cache") for top in tops]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[ToyProject, ToyProject]:
    """Two projects of the same content on one store."""
    one, two = crowd(tmp_path, 2)
    return one, two


def test_two_builds_of_the_same_key_build_it_once(pair: tuple[ToyProject, ToyProject]) -> None:
    """The second waits, says for whom, and takes what the first made (W9)."""
    first, second = pair
    gate = first.top / "runs.gate"
    os.mkfifo(gate)
    building = first.start("image", "rootfs")
    assert gate.read_text() == "started\n"
    waiting = second.start("image", "rootfs")
    assert waiting.stdout is not None
    said = waiting.stdout.readline()
    while said and "waits" not in said:
        said = waiting.stdout.readline()
    assert said.startswith(f"rootfs waits for pid {building.pid}: "), said
    gate.write_text("go on\n")
    for process in (building, waiting):
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert sorted(first.runs() + second.runs()) == sorted(ALL + NOT_STORED)
    assert not list((first.cache / "locks").glob("?" * 32))


def test_a_build_that_dies_lets_the_next_have_its_turn(pair: tuple[ToyProject, ToyProject]) -> None:
    """Nobody waits for the dead."""
    first, second = pair
    gate = first.top / "runs.gate"
    os.mkfifo(gate)
    building = first.start("rootfs")
    assert gate.read_text() == "started\n"
    waiting = second.start("rootfs")
    assert waiting.stdout is not None
    assert any("waits" in line for line in waiting.stdout)
    building.kill()
    building.communicate()
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert second.runs() == ["rootfs"]


def test_the_store_knows_whose_records_need_it(pair: tuple[ToyProject, ToyProject]) -> None:
    """Each build directory is noted at its first run, with what its records need; noted again where that was lost."""
    for project in pair:
        project.image()
        root = next(each for each in roots.read(project.cache).values() if each.build.is_relative_to(project.top))
        assert root.build == project.top / "build/toy"
        assert root.lists == (project.top / "toy.lock",)
        assert root.state(0) == "here"
        assert {record.stage for record in root.records()} == set(ALL)
        assert sorted(record.key for record in root.records()) == list(root.keys)
    (forgotten,) = (
        each for each in roots.read(pair[0].cache) if each.exists() and str(pair[0].top) in each.read_text()
    )
    forgotten.unlink()
    assert pair[0].image() == []
    assert forgotten.exists()


def test_the_store_keeps_within_its_limit_by_itself(pair: tuple[ToyProject, ToyProject]) -> None:
    """A run that stored something says what it removed, and never what the builds here need."""
    first, _ = pair
    for project in pair:
        project.variables = {"BOOTSMITH_CACHE_SIZE": "1K"}
        project.image()
    for number in range(3):
        (first.top / "source").write_text(f"line {number}\n")
        done = first.doit("image")
        assert done.returncode == 0
    assert "cache: removed" in done.stdout
    assert "more than the limit of 1.0 KiB" in done.stdout
    for project in pair:
        for output in OUTPUTS:
            (project.top / "build/toy" / output).unlink()
        assert project.image() == NOT_STORED


@pytest.mark.parametrize(("variable", "text"), [("BOOTSMITH_CACHE_SIZE", "20"), ("BOOTSMITH_CACHE_AGE", "long")])
def test_a_limit_that_is_none_is_refused(pair: tuple[ToyProject, ToyProject], variable: str, text: str) -> None:
    """Before anything is built, with an example."""
    project, _ = pair
    project.variables = {variable: text}
    done = project.doit("image")
    assert done.returncode == 3
    assert f"{variable}: '{text}' is no limit" in done.stdout + done.stderr
    assert project.runs() == []


def test_doit_cache_is_the_same_as_a_command(pair: tuple[ToyProject, ToyProject]) -> None:
    """Its words and options stand after it; what it finds becomes the exit status."""
    project, _ = pair
    project.image()
    assert project.doit("cache", "path").stdout == f"{project.cache}\n"
    assert f"needed by {project.top / 'build/toy'} (here" in project.doit("cache", "stat").stdout
    said = project.doit("cache", "gc", "--size", "1K", "--dry-run").stdout
    assert ": 1 tree memo\n" in said, "a short cut, and nothing else"
    assert project.doit("cache", "verify").returncode == 0
    (project.top / "toy.yaml").write_text("broken")  # no recipe is read for it
    for chunk in (project.cache / "chunks").glob("*/*"):
        chunk.chmod(0o644)
        chunk.write_bytes(b"damaged")
    done = project.doit("cache", "verify", "--repair")
    assert done.returncode == 1
    assert "moved to" in done.stdout
    for words in (("clean",), (), ("gc", "--size=12")):
        done = project.doit("cache", *words)
        assert done.returncode == 3
        assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.soak(ci=3, whole=200)
def test_many_builds_share_a_store_that_is_cleared_all_the_time(tmp_path: Path, rounds: int) -> None:
    """Trees build the same few things at once while gc leaves only what is needed: no error, nothing needed is lost."""
    projects = crowd(tmp_path, 3)
    with other_process.start(CLEAR, tmp_path / "cache") as collecting:
        for number in range(rounds):
            for each, project in enumerate(projects):
                (project.top / "source").write_text(f"line {(number + each) % 3}\n")
            for project, building in [(project, project.start("image")) for project in projects]:
                out, errors = building.communicate(timeout=120)
                assert building.returncode == 0, out + errors
                assert project.disk().startswith((project.top / "source").read_text().strip().upper())
        assert int(other_process.finish(collecting)) > rounds
    for project in projects:
        for output in OUTPUTS:
            (project.top / "build/toy" / output).unlink()
        assert project.image() == NOT_STORED
    assert project.doit("cache", "verify").returncode == 0
    assert not list((tmp_path / "cache/leases").iterdir())


@pytest.mark.soak(ci=3, whole=100)
def test_many_builds_build_each_key_once(tmp_path: Path, rounds: int) -> None:
    """However many trees need it at the same moment, one makes it and the others have it."""
    projects = crowd(tmp_path, 3)
    for number in range(rounds):
        for project in projects:
            (project.top / "source").write_text(f"line {number}\n")
        for building in [project.start("image") for project in projects]:
            out, errors = building.communicate(timeout=120)
            assert building.returncode == 0, out + errors
    runs = [stage for project in projects for stage in project.runs() if stage not in NOT_STORED]
    assert Counter(runs) == {"layers/tree": 1, "layers/upper": rounds, "rootfs": rounds}


@pytest.mark.soak(ci=4, whole=300)
def test_killed_builds_leave_nothing_behind_in_the_store(tmp_path: Path, rounds: int) -> None:
    """SIGKILL after any line that a build prints, gc at work all the time: the next are whole, and no claim remains."""
    projects = crowd(tmp_path, 2)
    with other_process.start(CLEAR, tmp_path / "cache") as collecting:
        for number in range(rounds):
            for project in projects:
                (project.top / "source").write_text(f"line {number}\n")
            for lines, building in enumerate([project.start("image") for project in projects], number % len(ALL)):
                assert building.stdout is not None
                for _ in range(lines):
                    building.stdout.readline()
                building.kill()
                building.communicate()
        for project in projects:
            project.image()
            assert project.disk().startswith(f"LINE {rounds - 1}")
        other_process.finish(collecting)
    assert projects[0].doit("cache", "gc").returncode == 0
    assert not list((tmp_path / "cache/leases").iterdir())
    assert sorted(path.name for path in (tmp_path / "cache/locks").iterdir()) == ["gc", "removal"]
    assert projects[0].doit("cache", "verify").returncode == 0
    assert [project.image() for project in projects] == [[], []]
