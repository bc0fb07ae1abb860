"""What a run says and leaves when a stage cannot be made, and when it can."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ordinary_user import UID, ordinary_user
from tests.support.toy_project import ToyProject, snapshot


def test_a_missing_input_is_named(project: ToyProject) -> None:
    """The message says which stage wants which file; nothing is built from nothing (V7)."""
    (project.top / "source").unlink()
    done = project.doit("image")
    assert done.returncode == 1
    assert f"rootfs: input source does not exist: {project.top / 'source'}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "convert/qcow2" not in project.runs()


def test_a_failing_stage_fails_the_run_and_keeps_the_last_image(built: ToyProject) -> None:
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


def test_an_output_that_is_no_regular_file_is_refused(built: ToyProject) -> None:
    """A symlink, directory or device under an output's name is never written through (C9)."""
    path = built.top / "build/toy/disk.qcow2"
    victim = built.top / "victim"
    victim.write_text("precious")
    path.unlink()
    path.symlink_to(victim)
    done = built.doit("image")
    assert done.returncode == 1
    assert "not a regular file" in done.stderr
    assert victim.read_text() == "precious"


def test_records_keep_what_a_stage_cost(built: ToyProject) -> None:
    """Seconds, CPU seconds and peak memory of the stage's programs are in its record."""
    data = json.loads((built.top / "build/toy/.bootsmith/records/rootfs.json").read_text().splitlines()[-1])
    found = data.get("record", data)
    assert found["seconds"] > 0
    assert found["cpu"] >= 0
    assert found["peak"] >= 0


def test_a_build_directory_that_cannot_be_made_is_said(project: ToyProject) -> None:
    """A file called build is in the way: said in words, exit 1, the file untouched."""
    (project.top / "build").write_text("mine")
    done = project.doit("image")
    assert done.returncode == 1
    assert f"{project.top}/build is in the way: not a folder\n  Move it away" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (project.top / "build").read_text() == "mine"


def test_root_used_for_nothing_is_said(project: ToyProject) -> None:
    """Once, by what root makes and by the machine root starts, with who else could; of what is fresh nothing (A19)."""
    (project.top / "disk.img").write_bytes(b"\xf4".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    root = ["unshare", "--user", "--map-root-user"] if os.geteuid() else []

    def said(*words: str) -> int:
        done = subprocess.run(
            [*root, sys.executable, "-m", "doit", *words], cwd=project.top, text=True, capture_output=True, check=False,
            env=project.environment() | {"SUDO_USER": "ann"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout + done.stderr).count(
            "run as root, which it does not need: what is made here will be root's; ann can run"
        )

    assert [said("image"), said("image"), said("list")] == [1, 0, 0]
    assert said("run-bios", "--print", "--accel", "tcg", "--format", "raw", "disk.img") == 1


def log_is_a_file(project: ToyProject) -> None:
    shutil.rmtree(project.top / "build/toy/log")
    (project.top / "build/toy/log").write_text("")
    (project.top / "source").write_text("something else\n")


def outputs_folder_is_elsewhere(project: ToyProject) -> None:
    plan = project.top / "toyplan.py"
    plan.write_text(plan.read_text().replace('build / "base"', 'build / "sub/base"'))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (project.top / "elsewhere").write_text(folder)
    Path(folder).mkdir()
    (project.top / "build/toy/sub").symlink_to(folder)


def outputs_folder_is_a_file(project: ToyProject) -> None:
    plan = project.top / "toyplan.py"
    plan.write_text(plan.read_text().replace('build / "base"', 'build / "sub/base"'))
    (project.top / "build/toy/sub").write_text("")


def input_is_a_folder(project: ToyProject) -> None:
    (project.top / "source").unlink()
    (project.top / "source").mkdir()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (log_is_a_file, "rootfs: {top}/build/toy/log: File exists\n  Move what is in the way"),
        (outputs_folder_is_elsewhere, "another file system"),
        (outputs_folder_is_a_file, "rootfs: {top}/build/toy/sub is in the way: not a folder\n  Move it away"),
        (input_is_a_folder, "rootfs: {top}/source: Is a directory\n  Move what is in the way"),
    ],
)
def test_what_the_system_refuses_is_said_in_words(
    built: ToyProject, change: Callable[[ToyProject], None], said: str
) -> None:
    """What happens to files in daily life is told as what, where, and what to do; exit 1, and no command is undone."""
    change(built)
    try:
        for command in (["explain"], ["list", "-s"], ["info", "rootfs"]):
            done = built.doit(*command)
            assert "Traceback" not in done.stdout + done.stderr, command
        done = built.doit("image")
        assert done.returncode == 1
        assert said.format(top=built.top) in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    finally:
        if (built.top / "elsewhere").exists():
            shutil.rmtree((built.top / "elsewhere").read_text())


def test_an_output_that_may_not_be_read_is_made_anew(tmp_path: Path) -> None:
    """Its folder is ours, so it is replaced; nothing trips over it, whoever looks."""
    user = ordinary_user(tmp_path)
    top = user.home / "project"
    top.mkdir()
    project = ToyProject.make(top)
    for path in (top, *top.rglob("*")) if os.geteuid() == 0 else ():
        os.chown(path, UID, UID)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = user.command(sys.executable, "-m", "doit", *words)
        environment = project.environment()
        return subprocess.run(command, cwd=top, env=environment, text=True, capture_output=True, check=False)

    assert run("image").returncode == 0
    for name in ("base", "disk.raw"):  # of which one is restored, and one patched
        (top / "build/toy" / name).chmod(0)
    for words in (["list", "-s"], ["explain"]):
        done = run(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert "cannot be read" in run("info", "rootfs").stdout
    done = run("image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "restored rootfs" in done.stdout
