"""doit restore and at=ID: each of the builds there were again, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.toy_builds import DISKS, log, three_builds
from tests.support.toy_project import ToyProject

OTHER_PARAMS = """
from dataclasses import dataclass
from bootsmith.tasks.build.parameters import Params

@dataclass(frozen=True)
class JoinParams(Params):
    way: str

"""
"""What a later version of the toy stage `assemble` asks for."""


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    """A toy project with three builds; the present one is the first again."""
    return three_builds(tmp_path)


def outputs(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Inode, mtime and content of the disks in a folder."""
    found = [folder / name for name in ("disk.raw", "disk.qcow2")]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in found}


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


def test_parameters_of_other_code_are_said_in_words(project: ToyProject) -> None:
    """A stage that asks for other parameters today than were recorded: restore says which, exits 1."""
    build = log(project)[1]
    code = project.top / "toystages.py"
    source = code.read_text().replace(
        "def join(context):\n", f"{OTHER_PARAMS}def join(context):\n    JoinParams.of(context)\n"
    )
    code.write_text(source)
    done = project.doit("restore", "--at", build["id"])
    assert done.returncode == 1
    assert "cannot be made again: the code that made it is another today: its parameter way is missing" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
