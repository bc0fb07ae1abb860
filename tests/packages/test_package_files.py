"""Files out of packages: which packages, which file in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import lockfile, package_files
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.planning.stages import extraction as stages
from bootsmith.tasks.tree.tar import Entry

from tests.support.debian_archive import deb
from tests.support.tree_build import TreeBuild

FILE = "{package: meta, path: %s}"
KEY = "meta/trixie/amd64"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    return TreeBuild(tmp_path, monkeypatch)


class ObjectFolder:
    """A mirror with packages of these files, and the lock of a recipe that takes a file out of the first of them."""

    def __init__(self, build: TreeBuild, **packages: dict[str, bytes]) -> None:
        self.build = build
        mirror = build.folder / "mirror"
        mirror.mkdir()
        found = []
        for name, files in packages.items():
            content = deb({"Package": name, "Version": "1"}, data=files)
            (mirror / f"{name}.deb").write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            found.append(Package(name, "1", "amd64", "main", not found, len(content), digest, f"{name}.deb"))
        lockfile.write(build.site.lock, LockFile({}, 0, (), {KEY: tuple(found)}))

    def take(self, path: str) -> bytes:
        """Take the file at a path out of the packages."""
        mirror = f"file://{self.build.folder}/mirror"
        recipe = self.build.recipes.load(
            f"source: {{debian: {{suite: trixie, mirror: '{mirror}'}}}}\nboot: {{initrd: {FILE % path}}}\n"
        )
        (stage,) = stages.stages(recipe, self.build.site)
        self.build.run(stage)
        return stage.outputs["file"].read_bytes()


def test_a_file_is_taken_out(build: TreeBuild) -> None:
    """By its path, or by a pattern that it alone matches; the rest of the package stays where it is."""
    shelf = ObjectFolder(build, meta={"boot/vmlinuz-6.1": b"kernel", "boot/config-6.1": b"config"})
    assert shelf.take("/boot/vmlinuz-6.1") == b"kernel"
    assert shelf.take("/boot/vmlinuz-*") == b"kernel"


def test_what_a_package_stands_for_is_looked_into(build: TreeBuild) -> None:
    """Of a package that only depends on another one exactly, the other one has the file."""
    shelf = ObjectFolder(build, meta={"usr/share/doc/meta/x": b""}, image={"boot/vmlinuz-6.1": b"kernel"})
    assert shelf.take("/boot/vmlinuz-*") == b"kernel"


def test_a_merged_usr_hides_nothing(build: TreeBuild) -> None:
    """/bin/x is found where the package has /usr/bin/x, as it is in the guest."""
    assert ObjectFolder(build, meta={"usr/bin/busybox": b"box"}).take("/bin/busybox") == b"box"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/boot/no*", r"there is no /boot/no\* in meta 1 or image 1"),
        ("/boot/vmlinuz-*", r"/boot/vmlinuz-\* matches /boot/vmlinuz-1, /boot/vmlinuz-2"),
        ("/boot", "there is no /boot in meta 1 or image 1"),
    ],
)
def test_not_one_file_is_told(path: str, what: str, build: TreeBuild) -> None:
    """None, several, or a folder: an error that names packages and files, and what to do."""
    shelf = ObjectFolder(build, meta={"x": b""}, image={"boot/vmlinuz-1": b"1", "boot/vmlinuz-2": b"2"})
    with pytest.raises(StageError, match=what) as caught:
        shelf.take(path)
    assert caught.value.hint


def test_a_lock_without_the_packages_says_update(build: TreeBuild) -> None:
    """A lock that was edited by hand is an error that says what to run."""
    shelf = ObjectFolder(build, meta={"x": b""})
    text = build.site.lock.read_text()
    build.site.lock.write_text(text.replace("file: meta", "file: other"))
    with pytest.raises(StageError, match="names no packages for meta/trixie/amd64") as caught:
        shelf.take("/x")
    assert "doit update" in caught.value.hint


def test_links_inside_the_package_are_followed() -> None:
    """A link is as good as the file it leads to, if the package has it; circles and ways out lead nowhere."""
    entries = {
        entry.path: entry
        for entry in (
            Entry("boot/image", "l", link="vmlinuz"),
            Entry("boot/vmlinuz", "l", link="/lib/kernel"),
            Entry("lib/kernel", "f"),
            Entry("loop", "l", link="loop"),
            Entry("out", "l", link="../../etc/passwd"),
            Entry("hard", "h", link="lib/kernel"),
        )
    }
    names = {name: package_files.followed(entries, name) for name in entries}
    assert {name for name, found in names.items() if found and found.path == "lib/kernel"} == {
        "boot/image", "boot/vmlinuz", "lib/kernel", "hard",
    }  # fmt: skip
    assert names["loop"] is names["out"] is None


def test_two_files_of_one_package_are_two(build: TreeBuild) -> None:
    """Each has a name of its own below the build directory; the same file twice is one."""
    recipe = build.recipe(
        "layers: [files: {/a: {package: pk, path: /a}, /b: {package: pk, path: /b}, /c: {package: pk, path: /a}}]\n"
    )
    names = [stage.name for stage in stages.stages(recipe, build.site)]
    assert names == ["files/pk", "files/pk_2"]
