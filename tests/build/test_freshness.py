"""Toy stages on the real engine: every way an output can be stale or damaged, and those that only look so."""

from __future__ import annotations

import os
import shutil

import pytest
from bootsmith.cache.store import record as records

from tests.support.toy_project import ALL, ToyProject, snapshot


def test_a_second_run_does_nothing(built: ToyProject) -> None:
    """No stage body runs, and no output is touched (V2)."""
    before = snapshot(built)
    done = built.doit("image")
    assert len(built.runs()) == len(ALL)
    assert snapshot(built) == before
    assert done.stdout.count("fresh") == len(ALL)


def test_touching_an_input_changes_nothing(built: ToyProject) -> None:
    """Time stamps are not content (V2)."""
    os.utime(built.top / "source", (1, 1))
    assert built.image() == []


def test_an_edit_is_cut_off_where_bytes_stay_the_same(built: ToyProject) -> None:
    """A stage that reran to the same bytes wakes nobody downstream."""
    (built.top / "source").write_text("first line\nanother second line\n")
    assert built.image() == ["layers/upper", "rootfs"]


def test_an_edit_rebuilds_what_depends_on_it_and_nothing_else(built: ToyProject) -> None:
    """One line, three stages (V2)."""
    (built.top / "source").write_text("new line\n")
    assert built.image() == ["assemble", "convert/qcow2", "layers/upper", "rootfs"]
    assert built.disk().startswith("NEW LINE")


def test_a_reverted_edit_restores(built: ToyProject) -> None:
    """What was built before is fetched, not built; what is not stored is made again (V4)."""
    original = built.disk()
    (built.top / "source").write_text("new line\n")
    built.image()
    (built.top / "source").write_text("first line\nsecond line\n")
    assert built.image() == ["assemble", "convert/qcow2"]
    assert built.disk() == original


def test_names_and_modes_in_a_tree_count(built: ToyProject) -> None:
    """A file renamed, added, deleted, or with another mode is another tree (V2)."""
    tree = built.top / "tree"
    (tree / "a").rename(tree / "b")
    assert built.image() == ["assemble", "convert/qcow2", "layers/tree"]
    (tree / "b").chmod(0o755)
    assert built.image() == ["layers/tree"]
    (tree / "b").unlink()
    assert built.image() == ["assemble", "convert/qcow2", "layers/tree"]


def test_a_parameter_counts(built: ToyProject) -> None:
    """An option changed in the recipe or on the command line rebuilds what it shapes (V3)."""
    assert built.image("option=two", "image") == ["assemble", "convert/qcow2", "layers/upper"]
    assert "two" in built.disk()
    assert built.image() == ["assemble", "convert/qcow2"]  # the recipe's own option again: restored


def test_a_secret_counts_and_is_written_nowhere(built: ToyProject) -> None:
    """Another password rebuilds; its text is in no record, log or index."""
    (built.top / "password").write_text("correct horse\n")
    assert "layers/upper" in built.image()
    for folder in (built.top / "build", built.top / "cache"):
        for path in folder.rglob("*"):
            if path.is_file():
                assert b"correct horse" not in path.read_bytes(), path


def test_a_tool_counts(built: ToyProject) -> None:
    """A new version of a host program rebuilds what ran it (V10)."""
    (built.top / "bin/toytool").write_text("#!/bin/sh\necho another version\n")
    assert built.image() == ["rootfs"]


def test_a_stages_code_counts(built: ToyProject) -> None:
    """A changed stage module rebuilds its stages (V10)."""
    code = built.top / "toystages.py"
    code.write_text(code.read_text().replace(".upper()", ".title()"))
    assert "layers/upper" in built.image()
    assert built.disk().startswith("First Line")


@pytest.mark.parametrize("output", ["base", "names", "upper", "disk.raw", "disk.qcow2"])
@pytest.mark.parametrize("damage", ["delete", "truncate", "alter", "same size"])
def test_a_damaged_output_is_noticed(built: ToyProject, output: str, damage: str) -> None:
    """Deleted, truncated or altered: the next run ends with the right bytes (V6)."""
    original = snapshot(built)[output][2]
    path = built.top / "build/toy" / output
    match damage:
        case "delete":
            path.unlink()
        case "truncate":
            path.write_bytes(b"")
        case "alter":
            path.write_bytes(b"something else")
        case "same size":
            stat = path.stat()
            path.write_bytes(b"x" * len(original))
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    built.image()
    assert path.read_bytes() == original


def test_an_input_edited_during_its_stage_is_built_again(project: ToyProject) -> None:
    """What was read in the middle of an edit is never recorded as built from the new content; the run says so (V5)."""
    (project.top / "source").write_text("edit me\n")
    done = project.doit("image")
    assert done.returncode == 0
    assert "rootfs: input source changed while it was built: built again\n" in done.stdout
    assert project.runs().count("rootfs") == 2
    assert project.disk().startswith("EDITED DURING THE BUILD")
    assert project.image() == []


def test_an_edit_that_keeps_size_and_time_is_seen(built: ToyProject) -> None:
    """An input rewritten with as many bytes, its modification time put back, is another input (V2)."""
    source = built.top / "source"
    before = source.stat()
    source.write_text("FIRST LINE\nsecond line\n".replace("FIRST", "fisrt"))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_size == before.st_size
    assert "rootfs" in built.image()
    assert built.disk().startswith("FISRT LINE")


YESTERDAY = """
from bootsmith.cache.files import clock
from pathlib import Path
DAY = 86_400 * clock.SECOND
really, settled = clock.offset, clock.settled
clock.offset = lambda: tuple(each - DAY * Path("yesterday").exists() for each in really())
clock.settled = lambda status: settled(status) + DAY * Path("yesterday").exists()
"""


def test_a_clock_set_back_a_day_hides_no_edit(built: ToyProject) -> None:
    """Set back and forth again: what did not change is not redone, and every edit meanwhile is seen."""
    dodo = built.top / "dodo.py"
    dodo.write_text(YESTERDAY + dodo.read_text())
    assert built.image() == []
    (built.top / "yesterday").touch()
    assert built.image() == []
    day_before = built.top / "source"
    status = day_before.stat()
    day_before.write_text("fisrt line\nsecond line\n")
    os.utime(day_before, ns=(status.st_atime_ns, status.st_mtime_ns - 86_400 * 10**9))
    assert "rootfs" in built.image()
    assert built.disk().startswith("FISRT LINE")
    assert built.image() == []
    (built.top / "yesterday").unlink()
    assert built.image() == []
    day_before.write_text("third line\nsecond line\n")
    assert "rootfs" in built.image()


def test_lost_records_restore(built: ToyProject) -> None:
    """Without its state the build is restored by the present key, never trusted (V4)."""
    shutil.rmtree(built.top / "build/toy/.bootsmith")
    assert built.image() == ["assemble", "convert/qcow2"]


def test_a_lost_store_rebuilds_nothing_that_is_here(built: ToyProject) -> None:
    """The store is for restoring; what is fresh stays fresh. Only a secret's digest cannot be recognised again."""
    shutil.rmtree(built.top / "cache")
    assert built.image() == ["layers/upper"]


def test_a_record_of_an_earlier_boot_counts_after_the_outputs_are_read(built: ToyProject) -> None:
    """After a restart of the host outputs are fingerprinted anew, whatever their time stamps say."""
    path = built.top / "build/toy/.bootsmith/records/rootfs.json"
    before = path.read_bytes()
    found = records.read(path)
    assert found is not None
    records.write(path, found._replace(boot_id="an earlier boot"))
    assert built.image() == []
    again = records.read(path)
    assert again is not None
    assert again.boot_id == records.boot_id()
    assert path.read_bytes() == before


def test_two_checkouts_agree(built: ToyProject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keys hold no paths: a second checkout restores from the first one's store (V11)."""
    second = ToyProject.make(tmp_path_factory.mktemp("second"), cache=built.cache)
    assert second.image() == ["assemble", "convert/qcow2"]
    assert second.disk() == built.disk()
