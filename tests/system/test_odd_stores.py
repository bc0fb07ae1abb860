"""Stores that are not what a build would like: on another file system, or to be read only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.toy_project import ToyProject

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'

AGAIN = ["assemble", "convert/qcow2"]
"""The stages whose outputs the toy project makes again rather than storing them."""


def with_read_only_store(project: ToyProject, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `doit WORDS` where the store is mounted read-only, for that process alone."""
    return subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", project.cache),
            *(sys.executable, "-m", "doit", *words),
        ],
        cwd=project.top, env=project.environment(), text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> ToyProject:
    return ToyProject.make(tmp_path)


def test_a_store_on_another_file_system(tmp_path: Path) -> None:
    """Blocks cannot be shared with it, nor files renamed into it: it stores and restores all the same (V6)."""
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert Path(elsewhere).stat().st_dev != tmp_path.stat().st_dev
        project = ToyProject.make(tmp_path, cache=Path(elsewhere) / "cache")
        project.image()
        disk = project.disk()
        shutil.rmtree(tmp_path / "build")
        assert project.image() == AGAIN
        assert project.disk() == disk


def test_a_store_that_can_only_be_read_is_read(project: ToyProject) -> None:
    """What is in it comes back, and a run with nothing to do does nothing (V4)."""
    project.image()
    disk, ran = project.disk(), len(project.runs())
    shutil.rmtree(project.top / "build")
    done = with_read_only_store(project, "image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.runs()[ran:] == AGAIN
    assert project.disk() == disk
    again = with_read_only_store(project, "image")
    assert again.returncode == 0, again.stdout + again.stderr
    assert project.runs()[ran:] == AGAIN


def test_what_cannot_be_stored_is_built_all_the_same(project: ToyProject) -> None:
    """New results and a store that takes none: said once, with where the store is; a retry elsewhere goes on (V4)."""
    project.image()
    (project.top / "source").write_text("another line\n")
    (project.top / "tree/b").write_text("b")
    done = with_read_only_store(project, "image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"the store {project.cache} cannot be written: what is made here is not kept there\n") == 1
    assert project.disk().startswith("ANOTHER LINE")
    assert project.image() == []
    project.doit("forget", "rootfs")
    assert project.image()[0] == "rootfs"
