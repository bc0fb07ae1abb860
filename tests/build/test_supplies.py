"""What stages fetch: into the store of the build, counted as all that a build stores, and for whom it is kept."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from bootsmith.cache.files import sealed
from bootsmith.cache.keep import roots
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.keep.upkeep import KIND
from bootsmith.cache.report import statistics
from bootsmith.cache.store import record as records
from bootsmith.tasks.packages import lockfile, request
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.recipe.load import load

from tests.support.debian_archive import deb
from tests.support.kernel_files import bzimage, cpio
from tests.support.project import dodo, doit

MIB = 1 << 20


class Project:
    """A project whose initrd is a file out of a package, which a folder has as a mirror would."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.store = top / "cache"
        (top / "mirror").mkdir(parents=True)
        (top / "linux").write_bytes(bzimage())
        (top / "dodo.py").write_text(dodo("box.yaml"))
        (top / "box.yaml").write_text(
            f"source: {{debian: {{suite: trixie, mirror: 'file://{top}/mirror'}}}}\n"
            "system: none\nboot: {loader: direct, kernel: linux, initrd: {package: pk, path: /boot/initrd}}\n"
            "outputs: [initramfs]\n"
        )

    def lock(self, version: str) -> str:
        """Publish a package with a small initrd and 2 MiB beside it, and lock it; return its SHA-256."""
        files = {"boot/initrd": cpio({version: b""}), "ballast": random.Random(version).randbytes(2 * MIB)}
        content = deb({"Package": "pk", "Version": version}, pack="none", data=files)
        (self.top / f"mirror/{version}.deb").write_bytes(content)
        found = hashlib.sha256(content).hexdigest()
        package = Package("pk", version, "amd64", "main", True, len(content), found, f"{version}.deb")
        recipe = load(self.top / "box.yaml")
        lockfile.write(self.top / "box.lock", LockFile(request.request(recipe), 0, (), {"pk/trixie/amd64": (package,)}))
        return found

    @property
    def usage(self) -> int:
        """How large the store is noted to be, in bytes."""
        size: int = json.loads(sealed.read(self.store / "usage", KIND) or b"")[0]
        return size

    @property
    def needed(self) -> set[str]:
        """The downloads that the store keeps for the build directory, by SHA-256."""
        (root,) = roots.read(self.store).values()
        return {name.removeprefix("sha256/") for name in root.names("here") if name.startswith("sha256/")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that was built."""
    project = Project(tmp_path)
    project.lock("1")
    doit(tmp_path, "image")
    return project


def test_what_was_fetched_counts_at_once(project: Project) -> None:
    """The store's size, by which it is kept within its limit, grows by what a run fetched; not by what was there."""
    before = project.usage
    project.lock("2")
    doit(project.top, "image")
    assert (project.top / "build/box/files/pk").read_bytes() == cpio({"2": b""})
    assert 2 * MIB < project.usage - before < 3 * MIB
    record = records.read(project.top / "build/box/.bootsmith/records/files+pk.json")
    assert record is not None
    assert 2 * MIB < record.kept < 3 * MIB
    before = project.usage
    doit(project.top, "forget", "files/pk")
    doit(project.top, "image")
    assert project.usage - before < MIB


def test_what_was_fetched_is_kept_for_whose_record_it_made(project: Project) -> None:
    """While a build directory has what came of a download, it needs it, though the lock names another by now."""
    (first,) = project.needed
    second = project.lock("2")
    assert project.needed == {first, second}
    found = statistics.gather(project.store, Limits(None, None))
    assert [each.size > 2 * MIB for each in found.builds] == [True]
    doit(project.top, "image")
    assert project.needed == {second}
