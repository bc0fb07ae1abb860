"""doit log, doit restore and at=ID: the builds there were, and each of them again, bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from bootsmith.cache.files import sealed
from bootsmith.tasks.build import history

from tests.support.toy_project import ToyProject


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    """A toy project with three builds; the present one is the first again."""
    project = ToyProject.make(tmp_path)
    project.image()
    (tmp_path / "tree/b").write_text("")
    project.image()
    (tmp_path / "source").write_text("something else\n")
    project.image()
    (tmp_path / "source").write_text("first line\nsecond line\n")
    (tmp_path / "tree/b").unlink()
    project.image()
    return project


DISKS = ("FIRST LINEone7a", "SOMETHING ELSEone7a\nb", "FIRST LINEone7a\nb")  # as `log` lists them


def log(project: ToyProject, *words: str) -> list[dict[str, Any]]:
    """Return what `doit log --json` tells."""
    done = project.doit("log", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["version"] == 1
    builds: list[dict[str, Any]] = found["builds"]
    return builds


def outputs(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Inode, mtime and content of the disks in a folder."""
    found = [folder / name for name in ("disk.raw", "disk.qcow2")]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in found}


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


def test_every_build_comes_back(project: ToyProject) -> None:
    """Bit for bit, formats that are made again included; the present outputs stay as they are, and fresh."""
    present = outputs(project.top / "build/toy")
    for build, disk in zip(log(project), DISKS, strict=True):
        done = project.doit("restore", "--at", build["id"][:6])
        assert done.returncode == 0, done.stdout + done.stderr
        folder = project.top / "build/toy/at" / build["id"][:8]
        found = outputs(folder)
        assert {content.decode() for _, _, content in found.values()} == {disk}
        assert str(folder / "disk.qcow2") in done.stdout
        assert project.doit("restore", "--at", build["id"]).returncode == 0
        assert outputs(folder) == found  # right already: not touched
        (folder / "disk.raw").write_text("damaged")
        (folder / "disk.qcow2").unlink()
        assert project.doit("restore", "--at", build["id"]).returncode == 0
        assert {content.decode() for _, _, content in outputs(folder).values()} == {disk}
    assert outputs(project.top / "build/toy") == present
    assert project.image() == []
    assert not list((project.top / "build/toy/.bootsmith/tmp").glob("*"))


def test_clean_removes_what_was_brought_back(project: ToyProject) -> None:
    """`clean` of the whole recipe takes at/ too, and says so with -n before; of one task it does not (V15)."""
    build = log(project)[1]["id"]
    assert project.doit("restore", "--at", build).returncode == 0
    folder = project.top / "build/toy/at"
    assert f"would remove {folder}\n" in project.doit("clean", "-n").stdout
    assert project.doit("clean", "assemble").returncode == 0
    assert folder.is_dir()
    assert f"removed {folder}\n" in project.doit("clean").stdout
    assert not folder.exists()
    assert project.doit("restore", "--at", build).returncode == 0


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


def test_what_cannot_be_had_leaves_what_there_was(project: ToyProject) -> None:
    """A file whose content the store has lost stays as it is, right or wrong."""
    plan = project.top / "toyplan.py"
    plan.write_text(plan.read_text().replace('stored=False, carry="disk"', 'carry="disk"'))
    project.image("-a", "image")
    build = log(project)[0]
    folder = project.top / "build/toy/at" / build["id"][:8]
    folder.mkdir(parents=True)
    (folder / "disk.raw").write_text("what there was")
    shutil.rmtree(project.cache / "indexes")
    done = project.doit("restore", "--at", build["id"])
    assert done.returncode == 1
    assert "assemble of build" in done.stdout
    assert (folder / "disk.raw").read_text() == "what there was"


def test_other_bytes_today_are_said_and_not_taken(project: ToyProject) -> None:
    """Where today's code gives other bytes, restore says what changed, exits 1, and leaves what there was."""
    build = log(project)[1]
    folder = project.top / "build/toy/at" / build["id"][:8]
    folder.mkdir(parents=True)
    (folder / "disk.qcow2").write_text("what there was")
    code = project.top / "toystages.py"
    code.write_text(code.read_text().replace("out.write_bytes(data)", "out.write_bytes(data + b'!')"))
    done = project.doit("restore", "--at", build["id"])
    assert done.returncode == 1
    assert "convert/qcow2 of build" in done.stdout
    assert "toystages.py changed gives other bytes today" in done.stdout
    assert (folder / "disk.qcow2").read_text() == "what there was"
    assert (folder / "disk.raw").read_text() == DISKS[1]
    code.write_text(code.read_text().replace("def copy", "def copied"))
    done = project.doit("restore", "--at", build["id"])
    assert done.returncode == 1
    assert "the code that made it is gone" in done.stdout


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


def test_at_gives_commands_a_past_image(project: ToyProject) -> None:
    """inspect looks at the past disk; no stage runs for it, stale or not, and the present image stays."""
    build = log(project)[1]
    present = outputs(project.top / "build/toy")
    (project.top / "source").write_text("not built yet\n")
    before = project.runs()
    done = project.doit(f"at={build['id'][:7]}", "inspect")
    assert build["id"][:8] in done.stdout
    assert project.runs() == [*before, "assemble"]  # which is not stored here
    assert outputs(project.top / "build/toy") == present
    assert (project.top / "build/toy/at" / build["id"][:8] / "disk.raw").read_text() == DISKS[1]


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


def test_a_stored_disk_is_restored_onto_the_present_one(project: ToyProject) -> None:
    """Where the disk is stored, an edit taken back patches the file there is; what nobody may patch is written anew."""
    plan = project.top / "toyplan.py"
    plan.write_text(plan.read_text().replace('stored=False, carry="disk"', 'carry="disk"'))
    project.image("-a", "image")
    disk = project.top / "build/toy/disk.raw"
    first = disk.stat().st_ino
    (project.top / "source").write_text("something else\n")
    project.image()
    (project.top / "source").write_text("first line\nsecond line\n")
    assert project.image() == ["convert/qcow2"]
    assert disk.read_text() == DISKS[0]
    assert disk.stat().st_ino == first
    builds = log(project)
    assert project.doit("restore", "--at", builds[1]["id"]).returncode == 0
    assert (project.top / "build/toy/at" / builds[1]["id"][:8] / "disk.raw").read_text() == "SOMETHING ELSEone7a"
