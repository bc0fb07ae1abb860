"""The engine on toy stages: every way a build can be stale, damaged or asked for."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.cache import record as records
from toys import Project

ALL = ["assemble", "convert/qcow2", "layers/tree", "layers/upper", "rootfs"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A toy project, nothing built."""
    return Project.make(tmp_path)


@pytest.fixture
def built(project: Project) -> Project:
    """A toy project, built."""
    assert project.image() == ALL
    return project


def snapshot(project: Project) -> dict[str, tuple[int, int, bytes]]:
    """Inode, mtime and content of every output."""
    found = [path for path in (project.top / "build/toy").iterdir() if path.is_file()]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_second_run_does_nothing(built: Project) -> None:
    """No stage body runs, and no output is touched (V2)."""
    before = snapshot(built)
    done = built.doit("image")
    assert len(built.runs()) == len(ALL)
    assert snapshot(built) == before
    assert done.stdout.count("fresh") == len(ALL)


def test_touching_an_input_changes_nothing(built: Project) -> None:
    """Time stamps are not content (V2)."""
    os.utime(built.top / "source", (1, 1))
    assert built.image() == []


def test_an_edit_is_cut_off_where_bytes_stay_the_same(built: Project) -> None:
    """A stage that reran to the same bytes wakes nobody downstream."""
    (built.top / "source").write_text("first line\nanother second line\n")
    assert built.image() == ["layers/upper", "rootfs"]


def test_an_edit_rebuilds_what_depends_on_it_and_nothing_else(built: Project) -> None:
    """One line, three stages (V2)."""
    (built.top / "source").write_text("new line\n")
    assert built.image() == ["assemble", "convert/qcow2", "layers/upper", "rootfs"]
    assert built.disk().startswith("NEW LINE")


def test_a_reverted_edit_restores(built: Project) -> None:
    """What was built before is fetched, not built; what is not stored is made again (V4)."""
    original = built.disk()
    (built.top / "source").write_text("new line\n")
    built.image()
    (built.top / "source").write_text("first line\nsecond line\n")
    assert built.image() == ["assemble", "convert/qcow2"]
    assert built.disk() == original


def test_names_and_modes_in_a_tree_count(built: Project) -> None:
    """A file renamed, added, deleted, or with another mode is another tree (V2)."""
    tree = built.top / "tree"
    (tree / "a").rename(tree / "b")
    assert built.image() == ["assemble", "convert/qcow2", "layers/tree"]
    (tree / "b").chmod(0o755)
    assert built.image() == ["layers/tree"]
    (tree / "b").unlink()
    assert built.image() == ["assemble", "convert/qcow2", "layers/tree"]


def test_a_parameter_counts(built: Project) -> None:
    """An option changed in the recipe or on the command line rebuilds what it shapes (V3)."""
    assert built.image("option=two", "image") == ["assemble", "convert/qcow2", "layers/upper"]
    assert "two" in built.disk()
    assert built.image() == ["assemble", "convert/qcow2"]  # the recipe's own option again: restored


def test_a_secret_counts_and_is_written_nowhere(built: Project) -> None:
    """Another password rebuilds; its text is in no record, log or index."""
    (built.top / "password").write_text("correct horse\n")
    assert "layers/upper" in built.image()
    for folder in (built.top / "build", built.top / "cache"):
        for path in folder.rglob("*"):
            if path.is_file():
                assert b"correct horse" not in path.read_bytes(), path


def test_a_tool_counts(built: Project) -> None:
    """A new version of a host program rebuilds what ran it (V10)."""
    (built.top / "bin/toytool").write_text("#!/bin/sh\necho another version\n")
    assert built.image() == ["rootfs"]


def test_a_stages_code_counts(built: Project) -> None:
    """A changed stage module rebuilds its stages (V10)."""
    code = built.top / "toystages.py"
    code.write_text(code.read_text().replace(".upper()", ".title()"))
    assert "layers/upper" in built.image()
    assert built.disk().startswith("First Line")


@pytest.mark.parametrize("output", ["base", "names", "upper", "disk.raw", "disk.qcow2"])
@pytest.mark.parametrize("damage", ["delete", "truncate", "alter", "same size"])
def test_a_damaged_output_is_noticed(built: Project, output: str, damage: str) -> None:
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


def test_a_missing_input_is_named(project: Project) -> None:
    """The message says which stage wants which file; nothing is built from nothing (V7)."""
    (project.top / "source").unlink()
    done = project.doit("image")
    assert done.returncode == 1
    assert f"rootfs: input source does not exist: {project.top / 'source'}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "convert/qcow2" not in project.runs()


def test_a_failing_stage_fails_the_run_and_keeps_the_last_image(built: Project) -> None:
    """Exit 1, the message and the log's path; the good image stays; mended, the run goes on (L10)."""
    before = snapshot(built)
    (built.top / "source").write_text("fail\n")
    done = built.doit("image")
    assert done.returncode == 1
    assert "the source says fail" in done.stdout
    assert "Write something else into it." in done.stdout
    assert snapshot(built)["disk.qcow2"] == before["disk.qcow2"]
    assert not list((built.top / "build/toy/.bootsmith").glob("tmp/*"))
    (built.top / "source").write_text("mended\n")
    assert "rootfs" in built.image()


def test_an_input_edited_during_its_stage_is_built_again(project: Project) -> None:
    """What was read in the middle of an edit is never recorded as built from the new content; the run says so (V5)."""
    (project.top / "source").write_text("edit me\n")
    done = project.doit("image")
    assert done.returncode == 0
    assert "rootfs: input source changed while it was built: built again\n" in done.stdout
    assert project.runs().count("rootfs") == 2
    assert project.disk().startswith("EDITED DURING THE BUILD")
    assert project.image() == []


def test_an_edit_that_keeps_size_and_time_is_seen(built: Project) -> None:
    """An input rewritten with as many bytes, its modification time put back, is another input (V2)."""
    source = built.top / "source"
    before = source.stat()
    source.write_text("FIRST LINE\nsecond line\n".replace("FIRST", "fisrt"))
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.stat().st_size == before.st_size
    assert "rootfs" in built.image()
    assert built.disk().startswith("FISRT LINE")


YESTERDAY = """
from bootsmith.cache import clock
from pathlib import Path
DAY = 86_400 * clock.SECOND
really, settled = clock.offset, clock.settled
clock.offset = lambda: tuple(each - DAY * Path("yesterday").exists() for each in really())
clock.settled = lambda status: settled(status) + DAY * Path("yesterday").exists()
"""


def test_a_clock_set_back_a_day_hides_no_edit(built: Project) -> None:
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


@pytest.mark.parametrize("database", [None, b"", b"garbage", b"{", b"[]", b'{"rootfs": 1}'])
def test_doits_database_is_a_throw_away(built: Project, database: bytes | None) -> None:
    """Lost or corrupt: nothing finished is redone, nothing trips."""
    path = built.top / "build/.doit.json"
    assert path.exists()
    path.unlink()
    if database is not None:
        path.write_bytes(database)
    assert built.image() == []


def test_lost_records_restore(built: Project) -> None:
    """Without its state the build is restored by the present key, never trusted (V4)."""
    shutil.rmtree(built.top / "build/toy/.bootsmith")
    assert built.image() == ["assemble", "convert/qcow2"]


def test_a_lost_store_rebuilds_nothing_that_is_here(built: Project) -> None:
    """The store is for restoring; what is fresh stays fresh. Only a secret's digest cannot be recognised again."""
    shutil.rmtree(built.top / "cache")
    assert built.image() == ["layers/upper"]


def test_a_record_of_an_earlier_boot_counts_after_the_outputs_are_read(built: Project) -> None:
    """After a restart of the host outputs are fingerprinted anew, whatever their time stamps say."""
    path = built.top / "build/toy/.bootsmith/records/rootfs.json"
    before = path.read_bytes()
    found = records.read(path)
    assert found is not None
    records.write(path, replace(found, boot_id="an earlier boot"))
    assert built.image() == []
    again = records.read(path)
    assert again is not None
    assert again.boot_id == records.boot_id()
    assert path.read_bytes() == before


def test_clean_removes_outputs_and_image_restores(built: Project) -> None:
    """`clean` is scoped to outputs; the next run restores what is stored (V15)."""
    original = built.disk()
    shown = built.doit("clean", "-n")
    assert "would remove" in shown.stdout
    assert built.disk() == original
    assert built.doit("clean").returncode == 0
    assert not (built.top / "build/toy/disk.qcow2").exists()
    assert (built.top / "source").exists()
    assert built.image() == ["assemble", "convert/qcow2"]
    assert built.disk() == original


def test_clean_one_task(built: Project) -> None:
    """`clean TASK` takes that task's files and no others."""
    assert built.doit("clean", "rootfs").returncode == 0
    assert not (built.top / "build/toy/base").exists()
    assert (built.top / "build/toy/upper").exists()
    assert built.image() == []  # restored to the same bytes


def test_forget_means_build_again(built: Project) -> None:
    """`forget TASK` rebuilds where a lost record would restore (V22)."""
    assert built.doit("forget", "rootfs").returncode == 0
    assert built.image() == ["rootfs"]
    assert built.doit("forget", "layers").returncode == 0
    assert built.image() == ["layers/tree", "layers/upper"]
    assert built.doit("forget", "--all").returncode == 0
    assert built.image() == ALL


def test_always_means_build_again(built: Project) -> None:
    """`-a` builds every stage, though all are fresh and stored (V22)."""
    assert built.image("-a", "image") == ALL


def test_ignore_is_refused(built: Project) -> None:
    """A stage cannot be left out: exit 3, and the next run builds it (V22)."""
    done = built.doit("ignore", "rootfs")
    assert done.returncode == 3
    assert "cannot be ignored" in done.stderr
    (built.top / "source").write_text("new line\n")
    assert "rootfs" in built.image()


def test_single_refuses_on_stale_producers(built: Project) -> None:
    """`-s` runs one task; where what it depends on is stale it says so and fails (V22)."""
    assert built.doit("-s", "convert").returncode == 0
    (built.top / "source").write_text("new line\n")
    done = built.doit("-s", "convert/qcow2")
    assert done.returncode == 1
    assert "depends on assemble, which is not fresh" in done.stdout
    assert built.doit("-s", "rootfs").returncode == 0


def test_list_status_tells_what_runs(built: Project) -> None:
    """`list -s` says U for what is fresh and R for what is not, after a lost database too (V9)."""
    (built.top / "build/.doit.json").unlink()
    shown = built.doit("list", "-s", "--all").stdout.splitlines()
    assert {line[0] for line in shown if line[2:].split()[0].partition("/")[0] in ("rootfs", "layers", "image")} == {
        "U"
    }
    (built.top / "tree/new").write_text("")
    marks = {line[2:].split()[0]: line[0] for line in built.doit("list", "-s", "--all").stdout.splitlines()}
    assert [marks[name] for name in ("rootfs", "layers/upper", "layers/tree", "assemble", "image")] == list("UURRR")
    assert len(built.runs()) == len(ALL)


def test_info_shows_dependencies_and_reasons(built: Project) -> None:
    """`info STAGE` shows file_dep, targets, and why it is stale (V23)."""
    shown = built.doit("info", "layers/upper")
    assert shown.returncode == 0
    assert str(built.top / "build/toy/base") in shown.stdout
    assert str(built.top / "build/toy/upper") in shown.stdout
    assert "up-to-date" in shown.stdout
    (built.top / "toy.yaml").write_text("two\n")
    shown = built.doit("info", "layers/upper")
    assert "option" in shown.stdout
    assert "'one'" in shown.stdout
    assert "'two'" in shown.stdout


def test_list_is_short(built: Project) -> None:
    """`list` shows groups and commands; parts of groups show under --all."""
    names = [line.split()[0] for line in built.doit("list").stdout.splitlines()]
    assert "image" in names
    assert "layers" in names
    assert "layers/upper" not in names
    assert "layers/upper" in built.doit("list", "--all").stdout


def test_an_unknown_task_gets_near_names(project: Project) -> None:
    """Exit 3 and the names it may have meant, not doit's parser."""
    done = project.doit("imgae")
    assert done.returncode == 3
    assert "imgae is not a task" in done.stderr
    assert "Did you mean image?" in done.stderr
    assert project.runs() == []
    assert project.doit("info", "rotfs").returncode == 3


def test_stages_run_alone_with_what_they_need(project: Project) -> None:
    """One stage by its name builds its producers and no more (L13)."""
    assert project.image("layers/upper") == ["layers/upper", "rootfs"]


def test_another_recipe_by_name(project: Project) -> None:
    """`image:NAME` builds another recipe beside the default; a broken default does not stop it."""
    (project.top / "other.yaml").write_text("three\n")
    (project.top / "toy.yaml").write_text("broken\n")
    assert project.image("image:other") == ALL
    assert "three" in (project.top / "build/other/disk.qcow2").read_text()
    done = project.doit("image")
    assert done.returncode == 3
    assert "toy.yaml:1:1: this recipe is broken; mend it" in done.stderr
    assert "Traceback" not in done.stderr
    done = project.doit("image:othre")
    assert done.returncode == 3
    assert "other" in done.stderr


def test_a_recipe_elsewhere_by_path(project: Project) -> None:
    """`recipe=PATH` takes the place of the default; PATH is relative to the shell's directory."""
    (project.top / "far").mkdir()
    (project.top / "far/away.yaml").write_text("four\n")
    assert project.image("recipe=far/away.yaml", "image") == ALL
    assert (project.top / "build/away/disk.qcow2").exists()


def test_an_output_that_is_no_regular_file_is_refused(built: Project) -> None:
    """A symlink, directory or device under an output's name is never written through (C9)."""
    path = built.top / "build/toy/disk.qcow2"
    victim = built.top / "victim"
    victim.write_text("precious")
    path.unlink()
    path.symlink_to(victim)
    done = built.doit("image")
    assert done.returncode == 1
    assert "not a regular file" in done.stdout
    assert victim.read_text() == "precious"


def test_two_checkouts_agree(built: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keys hold no paths: a second checkout restores from the first one's store (V11)."""
    second = Project.make(tmp_path_factory.mktemp("second"), cache=built.cache)
    assert second.image() == ["assemble", "convert/qcow2"]
    assert second.disk() == built.disk()


def test_records_keep_what_a_stage_cost(built: Project) -> None:
    """Seconds, CPU seconds and peak memory of the stage's programs are in its record."""
    data = json.loads((built.top / "build/toy/.bootsmith/records/rootfs.json").read_text().splitlines()[-1])
    found = data.get("record", data)
    assert found["seconds"] > 0
    assert found["cpu"] >= 0
    assert found["peak"] >= 0


def test_options_of_one_command_are_not_anothers(built: Project) -> None:
    """`run-uefi --print` is not read as an option of `inspect`; a file in place of the recipe builds nothing."""
    done = built.doit("run-uefi", "--print", "--memory", "64", "toy=1.img")
    assert done.returncode == 3
    assert "machine.memory" in done.stdout
    done = built.doit("inspect", "--json", "toy=1.img")
    assert done.returncode == 3
    assert "toy=1.img is not a file" in done.stdout
    assert len(built.runs()) == len(ALL)


@pytest.mark.parametrize(
    "words",
    [
        ("run-bios", "--print", "--accel", "tcg", "--memory", "3G", "--share", "x=tree", "disk=1.img"),
        ("run-bios", "disk=1.img", "--print", "--accel", "tcg", "--memory", "3G", "--share", "x=tree"),
        ("run-bios", "--print", "disk=1.img", "--accel=tcg", "--memory=3G", "--share=x=tree"),
        ("run-bios", "--print", "--accel", "tcg", "--share", "x=tree", "--memory", "3G", "--", "disk=1.img"),
    ],
)
def test_options_stand_before_or_behind_the_file(built: Project, words: tuple[str, ...]) -> None:
    """Where an option stands, and how its value is written, is all the same; a value may hold `=` (A16)."""
    (built.top / "disk=1.img").write_bytes(b"\xf4".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    done = built.doit(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  -m 3072M " in done.stdout
    assert f"path={built.top}/tree,mount_tag=x" in done.stdout
    assert f"file={built.top}/disk=1.img" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run-uefi", "--memroy", "2G", "x.img"), "run-uefi: option --memroy not recognized\n  Did you mean --memory?"),
        (("run-uefi", "x.img", "--memroy", "2G"), "run-uefi: option --memroy not recognized\n  Did you mean --memory?"),
        (("run-tgz", "x.tgz", "--gbd"), "run-tgz: option --gbd not recognized\n  Did you mean --gdb?"),
        (("build-efistub", "x.tgz", "--outptu", "y"), "option --outptu not recognized\n  Did you mean --output?"),
        (("run-dir", "tree", "--memory"), "run-dir: option --memory requires argument"),
        (("run-uefi", "x.img", "--print=yes"), "run-uefi: option --print must not have an argument"),
        (("run-uefi:other", "x.img", "--memroy", "2G"), "Did you mean --memory?"),
        (("image", "inspect", "x.img", "--jsno"), "Did you mean --json?"),
        (("image", "cache", "stat", "--jsno"), "Did you mean --json?"),
        (("ssh", "--prot", "2222", "ls"), "ssh: option --prot not recognized\n  Did you mean --port?"),
        (("image", "qemu-test", "--forse"), "qemu-test: option --forse not recognized\n  Did you mean --force?"),
        (("image", "--zzz"), "image: option --zzz not recognized\n  `doit help image` shows its options."),
        (("run-dir:other", "tree"), "run-dir:other: run-dir needs no recipe"),
    ],
)
def test_wrong_options_are_refused_wherever_they_stand(project: Project, words: tuple[str, ...], message: str) -> None:
    """A misspelt option is answered with its near names before anything runs, be it before or behind the file."""
    (project.top / "other.yaml").write_text("two\n")
    done = project.doit(*words)
    assert done.returncode == 3, done.stdout
    assert message in done.stderr
    assert done.stdout == ""
    assert project.runs() == []


def test_words_for_ssh_name_nothing_else(project: Project) -> None:
    """Words of a command that is to run in a guest are no tasks, recipes or trees of ours."""
    for words in (("run-dir", "/nowhere"), ("image:nowhere",), ("ls", "-l", "--memroy"), ("--", "ls", "-l")):
        done = project.doit("ssh", *words)
        assert (done.returncode, "no such machine is running" in done.stdout) == (1, True), done.stderr


def test_several_firmwares_are_one_option(project: Project) -> None:
    """`qemu-test --firmware uefi,bios` reaches the recipe as two."""
    (project.top / "real.yaml").write_text("source: {directory: tree}\n")
    done = project.doit("qemu-test:real", "--firmware", "uefi,boos")
    assert done.returncode == 3
    assert "command line: test.firmware: 'boos' is not a choice; did you mean bios?" in done.stdout


def test_unknown_variables_are_refused(project: Project) -> None:
    """A misspelt variable is a mistake even where nothing would read it."""
    done = project.doit("tools", "disk.siez=4G")
    assert done.returncode == 3


def test_a_dodos_own_task_takes_words_and_plans_nothing(project: Project) -> None:
    """A task beside ours runs with words of its own, though the recipe is broken."""
    dodo = project.top / "dodo.py"
    own = """
def task_mine():
    return {"actions": [lambda words: print("mine:", *words)], "pos_arg": "words", "verbosity": 2}
"""
    dodo.write_text(dodo.read_text() + own)
    (project.top / "toy.yaml").write_text("broken\n")
    done = project.doit("mine", "--", "some", "-k", "words")
    assert done.returncode == 0, done.stderr
    assert "mine: some -k words" in done.stdout
    assert project.doit("mine", "image").returncode == 0
    assert project.doit("image", "mine").returncode == 3


def test_a_build_directory_that_cannot_be_made_is_said(project: Project) -> None:
    """A file called build is in the way: said in words, exit 1, the file untouched."""
    (project.top / "build").write_text("mine")
    done = project.doit("image")
    assert done.returncode == 1
    assert "cannot be made" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (project.top / "build").read_text() == "mine"


def test_the_value_of_an_option_names_no_task(project: Project) -> None:
    """A command of another recipe takes its options without the default recipe, which may lack its variables."""
    (project.top / "toy.yaml").rename(project.top / "other.yaml")
    (project.top / "toy.yaml").write_text("broken\n")
    done = project.doit("qemu-test:other", "--entry", "rescue")
    assert "rootfs" in project.runs(), done.stderr
    assert "this recipe is broken" not in done.stdout + done.stderr
