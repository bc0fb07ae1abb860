"""doit log, and the words for a build: the builds there were, and what each of them changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from bootsmith.cache.files import sealed
from bootsmith.tasks.build import history

from tests.support.toy_builds import DISKS, log, three_builds
from tests.support.toy_project import ToyProject


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    """A toy project with three builds; the present one is the first again."""
    return three_builds(tmp_path)


def test_log_tells_what_each_build_changed(project: ToyProject) -> None:
    """The newest first, what changed against the one before; the same content is one build, made again."""
    builds = log(project)
    assert [build["changed"] for build in builds] == [
        ["rootfs: source changed", "layers/tree: b removed"],
        ["rootfs: source changed"],
        ["layers/tree: b added"],
    ]
    assert [build["missing"] for build in builds] == [[], [], []]
    assert builds[0]["first"] < builds[2]["last"] < builds[1]["last"] < builds[0]["last"]
    assert builds[0]["outputs"] == ["disk.raw", "disk.qcow2"]
    assert set(builds[0]["stages"]) == {"rootfs", "layers/tree", "layers/upper", "assemble", "convert/qcow2"}
    shown = project.doit("log").stdout
    assert [line.split()[0] for line in shown.splitlines() if "complete" in line] == [b["id"][:8] for b in builds]
    assert "layers/tree: b added" in shown
    assert len(log(project, "-n", "1")) == 1


def test_nothing_done_leaves_no_entry(project: ToyProject) -> None:
    """A run that changed nothing, a part of a build, or a restored output, is no other build."""
    before = log(project)
    project.image()
    assert log(project) == before
    (project.top / "build/toy/disk.raw").unlink()
    project.image("raw")
    assert [build["id"] for build in log(project)] == [build["id"] for build in before]
    assert project.doit("rootfs").returncode == 0
    assert [build["id"] for build in log(project)] == [build["id"] for build in before]


def test_history_outlives_the_build_directory(project: ToyProject) -> None:
    """After `rm -rf build` the log is what it was, and restore works."""
    before = log(project)
    shutil.rmtree(project.top / "build")
    assert log(project) == before
    done = project.doit("restore", "--at", before[2]["id"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.top / "build/toy/at" / before[2]["id"][:8] / "disk.qcow2").read_text() == DISKS[2]


def test_log_names_what_is_gone(project: ToyProject) -> None:
    """An entry keeps nothing alive: what the store has lost is named, and restore says so, exit 1."""
    old = log(project)[1]["stages"]["layers/upper"]["outputs"]["out"]["hash"]
    for folder in ("indexes", "blobs"):
        for path in (project.cache / folder).rglob(f"{old}*"):
            path.unlink()
    builds = log(project)
    assert [build["missing"] for build in builds] == [[], ["layers/upper"], []]
    assert "not in the store any more: layers/upper" in project.doit("log").stdout
    done = project.doit("restore", "--at", builds[1]["id"])
    assert done.returncode == 1
    assert f"layers/upper of build {builds[1]['id'][:8]} is not in the store any more" in done.stdout
    assert "Traceback" not in done.stdout
    assert project.doit("restore", "--at", builds[2]["id"]).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restore", "--at", "nosuchid"), "there is no build nosuchid"),
        (("restore",), "restore: which build?"),
        (("log", "-n", "many"), "-n many: not a number"),
        (("at=1", "image"), "at=1 does not go with image"),
        (("at=1",), "at=1 does not go with image"),
        (("at=1", "rootfs"), "at=1 does not go with rootfs"),
        (("at=1", "explain"), "at=1 does not go with explain"),
        (("at=1", "inspect", "some.img"), "at=1 and some.img are two images"),
        (("at=nosuchid", "inspect"), "there is no build nosuchid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_words_are_refused(project: ToyProject, words: tuple[str, ...], said: str) -> None:
    """An id that is none, or at= where it means nothing: exit 3, nothing runs."""
    before = project.runs()
    done = project.doit(*words)
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert project.runs() == before


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        ((), ""),
        (("recipe=other.yaml",), "recipe=other.yaml "),
        (("option=a b",), "'option=a b' "),
    ],
)
def test_hints_name_the_recipe_that_is_meant(project: ToyProject, words: tuple[str, ...], typed: str) -> None:
    """What a hint says can be typed, and is about the same recipe: another one's log lists nothing of it."""
    (project.top / "other.yaml").write_text("two\n")
    name = "" if words else ":other"
    missing = project.doit(*words, f"restore{name}")
    assert f"`doit {typed}restore{name} --at ID`; `doit {typed}log{name}` lists" in missing.stdout
    if "recipe" in typed or name:
        none = project.doit(*words, f"restore{name}", "--at", "nosuchid")
        assert f"`doit {typed}image{name}` makes the first." in none.stdout
    project.image(*words, f"image{name}")
    wrong = project.doit(*words, f"restore{name}", "--at", "nosuchid")
    assert f"`doit {typed}log{name}` lists the builds there were." in wrong.stdout
    shutil.rmtree(project.cache / "indexes")
    (build, *_) = json.loads(project.doit(*words, f"log{name}", "--json").stdout)["builds"]
    shutil.rmtree(project.top / "build")
    lost = project.doit(*words, f"restore{name}", "--at", build["id"])
    assert f"`doit {typed}log{name}` shows which builds are complete." in lost.stdout, lost.stdout


def test_an_id_that_is_not_unique_gets_the_choice(project: ToyProject) -> None:
    """Near ids are named; several that begin alike are all named."""
    ids = [build["id"] for build in log(project)]
    near = project.doit("restore", "--at", f"{ids[1][:6]}zz").stdout
    assert f"Did you mean {ids[1][:8]}" in near
    done = project.doit("restore", "--at=")
    assert done.returncode == 3
    path = next((project.cache / "history").rglob(f"{ids[0]}.json"))
    twin = sealed.read(path, history.KIND)
    assert twin is not None
    other = ids[0][:7] + ("0" if ids[0][7] != "0" else "1") + ids[0][8:]
    sealed.write(path.with_name(f"{other}.json"), history.KIND, twin.replace(ids[0].encode(), other.encode()))
    done = project.doit("restore", "--at", ids[0][:7])
    assert done.returncode == 3
    assert f"{ids[0][:7]} may be any of" in done.stdout
    assert ids[0][:8] in done.stdout
    assert other[:8] in done.stdout


def test_a_build_whose_note_was_lost_is_noted_by_the_next_run(project: ToyProject) -> None:
    """Killed after its last stage, before it was noted: the next run notes it, though it has nothing to do."""
    before = log(project)
    (project.cache / "history").rename(project.cache / "elsewhere")
    (project.top / "build/toy/.bootsmith/unnoted").touch()
    assert project.image() == []
    (noted,) = log(project)
    assert noted["id"] == before[0]["id"]
    assert noted["changed"] == ["the first build"]
    assert not (project.top / "build/toy/.bootsmith/unnoted").exists()


def test_damaged_entries_are_left_out(project: ToyProject) -> None:
    """A history that is damaged, or cannot be written, hurts no build."""
    folder = next((project.cache / "history").iterdir())
    for path in folder.iterdir():
        path.write_text("damaged")
    assert log(project) == []
    shutil.rmtree(folder)
    folder.write_text("in the way")
    (project.top / "source").write_text("one more\n")
    assert "rootfs" in project.image()
    folder.unlink()
    assert project.image() == []
    assert len(log(project)) == 1
