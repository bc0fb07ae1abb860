"""doit's own commands, told the truth by our records."""

from __future__ import annotations

import shutil

import pytest

from tests.support.toy_project import ALL, ToyProject


@pytest.mark.parametrize("database", [None, b"", b"garbage", b"{", b"[]", b'{"rootfs": 1}'])
def test_doits_database_is_a_throw_away(built: ToyProject, database: bytes | None) -> None:
    """Lost or corrupt: nothing finished is redone, nothing trips."""
    path = built.top / "build/.doit.json"
    assert path.exists()
    path.unlink()
    if database is not None:
        path.write_bytes(database)
    assert built.image() == []


def test_clean_removes_outputs_and_image_restores(built: ToyProject) -> None:
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


def test_clean_one_task(built: ToyProject) -> None:
    """`clean TASK` takes that task's files and no others."""
    assert built.doit("clean", "rootfs").returncode == 0
    assert not (built.top / "build/toy/base").exists()
    assert (built.top / "build/toy/upper").exists()
    assert built.image() == []  # restored to the same bytes


def test_forget_means_build_again(built: ToyProject) -> None:
    """`forget TASK` rebuilds where a lost record would restore (V22)."""
    assert built.doit("forget", "rootfs").returncode == 0
    assert built.image() == ["rootfs"]
    assert built.doit("forget", "layers").returncode == 0
    assert built.image() == ["layers/tree", "layers/upper"]
    assert built.doit("forget", "--all").returncode == 0
    assert built.image() == ALL


def test_always_means_build_again(built: ToyProject) -> None:
    """`-a` builds every stage, though all are fresh and stored (V22)."""
    assert built.image("-a", "image") == ALL


def test_ignore_is_refused(built: ToyProject) -> None:
    """A stage cannot be left out: exit 3, and the next run builds it (V22)."""
    done = built.doit("ignore", "rootfs")
    assert done.returncode == 3
    assert "cannot be ignored" in done.stderr
    (built.top / "source").write_text("new line\n")
    assert "rootfs" in built.image()


def test_single_refuses_on_stale_producers(built: ToyProject) -> None:
    """`-s` runs one task; where what it depends on is stale it says so and fails (V22)."""
    assert built.doit("-s", "convert").returncode == 0
    (built.top / "source").write_text("new line\n")
    done = built.doit("-s", "convert/qcow2")
    assert done.returncode == 1
    assert "depends on assemble, which is not fresh" in done.stdout
    assert built.doit("-s", "rootfs").returncode == 0


def test_list_status_tells_what_runs(built: ToyProject) -> None:
    """`list -s` says U of what is fresh, R of what runs, D of what depends on that, a lost database or not (V9)."""
    (built.top / "build/.doit.json").unlink()
    shown = built.doit("list", "-s", "--all").stdout.splitlines()
    assert {line[0] for line in shown if line[2:].split()[0].partition("/")[0] in ("rootfs", "layers", "image")} == {
        "U"
    }
    (built.top / "tree/new").write_text("")
    marks = {line[2:].split()[0]: line[0] for line in built.doit("list", "-s", "--all").stdout.splitlines()}
    assert [marks[name] for name in ("rootfs", "layers/upper", "layers/tree", "assemble", "image")] == list("UURDD")
    shutil.rmtree(built.top / "build/toy/.bootsmith/records")
    (built.top / "tree/new").unlink()
    marks = {line[2:].split()[0]: line[0] for line in built.doit("list", "-s", "--all").stdout.splitlines()}
    assert [marks[name] for name in ("rootfs", "layers/tree", "assemble")] == list("SSR")  # a disk is not stored
    assert len(built.runs()) == len(ALL)


def test_info_shows_dependencies_and_reasons(built: ToyProject) -> None:
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


def test_list_is_short(built: ToyProject) -> None:
    """`list` shows groups and commands; parts of groups show under --all."""
    names = [line.split()[0] for line in built.doit("list").stdout.splitlines()]
    assert "image" in names
    assert "layers" in names
    assert "layers/upper" not in names
    assert "layers/upper" in built.doit("list", "--all").stdout


def test_help_says_that_no_root_is_needed(project: ToyProject) -> None:
    """Of every command and stage, in its line; a task of the dodo's own is not spoken for (A13)."""
    dodo = project.top / "dodo.py"
    dodo.write_text(dodo.read_text() + "\ndef task_mine():\n    return {'actions': None, 'doc': 'mine'}\n")
    for name in ("image", "rootfs", "layers/upper", "run-uefi", "run-dir", "build-efistub", "ssh", "cache"):
        first, _, _ = project.doit("help", name).stdout.partition("\n")
        assert first.startswith(f"{name}  ")
        assert first.endswith(" needs no root")
    assert project.doit("help", "mine").stdout == "mine  mine\n"
