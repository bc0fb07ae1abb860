"""Stores that are not what a build would like: on another file system, or to be read only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support import project
from tests.support.debian_archive import Archive
from tests.support.toy_project import ToyProject

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'

AGAIN = ["assemble", "convert/qcow2"]
"""The stages whose outputs the toy project makes again rather than storing them."""


def with_read_only_store(top: Path, environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `doit WORDS` where the store is mounted read-only, for that process alone."""
    store = environment["BOOTSMITH_CACHE"]
    return subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", store),
            *(sys.executable, "-m", "doit", *words),
        ],
        cwd=top, env=environment, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(name="toy")
def fixture_toy(tmp_path: Path) -> ToyProject:
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


def test_a_store_that_can_only_be_read_is_read(toy: ToyProject) -> None:
    """What is in it comes back, and a run with nothing to do does nothing (V4)."""
    toy.image()
    disk, ran = toy.disk(), len(toy.runs())
    shutil.rmtree(toy.top / "build")
    done = with_read_only_store(toy.top, toy.environment(), "image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert toy.runs()[ran:] == AGAIN
    assert toy.disk() == disk
    again = with_read_only_store(toy.top, toy.environment(), "image")
    assert again.returncode == 0, again.stdout + again.stderr
    assert toy.runs()[ran:] == AGAIN


def test_what_cannot_be_stored_is_built_all_the_same(toy: ToyProject) -> None:
    """New results and a store that takes none: said once, with where the store is; a retry elsewhere goes on (V4)."""
    toy.image()
    (toy.top / "source").write_text("another line\n")
    (toy.top / "tree/b").write_text("b")
    done = with_read_only_store(toy.top, toy.environment(), "image")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"the store {toy.cache} cannot be written: what is made here is not kept there\n") == 1
    assert toy.disk().startswith("ANOTHER LINE")
    assert toy.image() == []
    toy.doit("forget", "rootfs")
    assert toy.image()[0] == "rootfs"


DEBIAN = """
source: {{debian: {{suite: trixie, mirror: 'file://{archive.main}', keyring: {archive.keyring}}}}}
layers: [files: {{/tool: {{from: {{package: tool, path: /usr/share/tool}}}}}}]
boot: {{loader: direct, kernel: {{package: lib, path: /usr/share/lib}}, initrd: none, root: none}}
outputs: [kernel]
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_packages_that_a_store_cannot_keep(tmp_path: Path, damaged: bool) -> None:
    """Package lists and packages are fetched for this once; what the store has, and is whole, is taken from there."""
    archive, store, made = Archive(tmp_path / "mirror"), tmp_path / "cache", tmp_path / "build/deb/files"
    (tmp_path / "dodo.py").write_text(project.dodo("deb.yaml"))
    (tmp_path / "deb.yaml").write_text(DEBIAN.format(archive=archive))
    store.mkdir()
    done = with_read_only_store(tmp_path, project.environment(tmp_path), "files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each.name: each.read_text() for each in made.iterdir()} == {"tool": "1:1.0+b1", "lib": "1.1"}
    assert done.stdout.count(f"the store {store} cannot be written: what is made here is not kept there\n") == 1
    assert not list(store.iterdir())
    assert not [each for each in (tmp_path / "build").rglob("*") if each.name == "sha256"]
    (tmp_path / "deb.lock").unlink()
    shutil.rmtree(tmp_path / "build")
    project.doit(tmp_path, "files")
    for name in ("build", "cache/results"):  # else there was nothing to make
        shutil.rmtree(tmp_path / name)
    if damaged:
        for kept in store.glob("sha256/*/*"):
            kept.chmod(0o644)
            kept.write_bytes(b"rot")
    else:
        shutil.rmtree(archive.main)
        shutil.rmtree(archive.security)
    done = with_read_only_store(tmp_path, project.environment(tmp_path), "files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each.name: each.read_text() for each in made.iterdir()} == {"tool": "1:1.0+b1", "lib": "1.1"}
