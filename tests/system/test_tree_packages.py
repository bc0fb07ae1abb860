"""Packages on top of trees that were not installed here: resolved by what such a tree has, and locked."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.support.apt_tree import debian
from tests.support.debian_archive import Archive
from tests.support.ordinary_user import ordinary_user
from tests.support.project import Project, dodo, doit
from tests.support.tar_members import Member, write_tar
from tests.support.tree_build import DEBIAN

RELEASE = b'ID=debian\nVERSION_CODENAME=trixie\nPRETTY_NAME="A tree"\n'
RECIPE = """\
source: {{tar: tree.tar}}
archive: {{mirror: "file://{main}", keyring: "{keyring}"}}
layers:
  - packages: [tool]
  - files: {{/etc/mine: {{content: mine}}}}
system: none
boot: {{kernel: none, initrd: none}}
outputs: [tar]
"""
CONTAINER = """\
source: {debian: {suite: bookworm, packages: [systemd-sysv]}}
boot: {kernel: none}
outputs: [oci: container.tar]
"""
DISK = """\
source: {oci: ../build/container/container.tar}
layers: [packages: [ifupdown, isc-dhcp-client]]
system: {network: ifupdown, users: {root: {password: {file: secrets/root.password}}}}
boot: {loader: syslinux, kernel: install}
disk: {size: 2G}
outputs: [raw]
machine: {type: pc}
test: {login: {user: root, password: {file: secrets/root.password}}, run: [test -e /etc/network/interfaces]}
"""


def record(name: str, version: str, **more: str) -> str:
    fields = {"Package": name, "Status": "install ok installed", "Architecture": "amd64", "Version": version, **more}
    about = {"Maintainer": "Nobody <nobody@example.org>", "Description": f"{name}\n with more to say"}
    return "".join(f"{key}: {value}\n" for key, value in (fields | about).items()) + "\n"


class Tree:
    """A project with one recipe, whose source is a tar of a Debian."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.archive = Archive(top / "mirror")
        (top / "dodo.py").write_text(dodo("x.yaml"))
        self.recipe = top / "x.yaml"
        self.recipe.write_text(RECIPE.format(main=self.archive.main, keyring=self.archive.keyring))
        self.lock = top / "x.lock"
        self.status = record("apt", "3.0") + record("dpkg", "1.22") + record("lib", "1.0")
        self.write()

    def write(self, more: dict[str, bytes | Member] | None = None) -> None:
        """Write the tree's tar."""
        tree = {**DEBIAN, **debian()} | {"./usr/lib/os-release": RELEASE, "./var/lib/dpkg/status": self.status.encode()}
        write_tar(self.top / "tree.tar", dict(sorted((tree | (more or {})).items())))

    def ran(self, **env: str) -> list[str]:
        """Build; return the stages that were built or restored."""
        said = doit(self.top, "image", **env)
        return re.findall(r"^(?:built|restored) +(\S+)", said, re.MULTILINE)

    def file(self, name: str) -> str:
        """Return what a file in the image's tar says."""
        with tarfile.open(self.top / "build/x/x.tar") as tar:
            found = tar.extractfile(name)
            assert found is not None
            return found.read().decode()

    def locked(self) -> dict[str, str]:
        """Return the packages in the lock, by version."""
        return dict(re.findall(r"^([a-z][\w-]*) (\S+) (?:amd64|all) ", self.lock.read_text(), re.MULTILINE))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_packages_come_on_top_of_any_tree_with_apt(tree: Tree) -> None:
    """C7, V9: resolved by what the tree has, locked, installed; with no network not again, until that can alter it."""
    assert "depends  rootfs/lock" in doit(tree.top, "explain")
    assert "rootfs/lock" in tree.ran()
    assert tree.locked() == {"tool": "1:1.0+b1"}  # lib is there, if not the newest
    assert "Package: tool\n" in tree.file("var/lib/dpkg/status")
    assert (tree.file("usr/share/tool"), tree.file("etc/mine")) == ("1:1.0+b1", "mine")
    assert tree.ran() == []
    assert "nothing to do" in doit(tree.top, "explain")

    before = tree.lock.read_bytes()
    away = tree.archive.main.rename(tree.top / "away")
    shutil.rmtree(tree.top / "build")
    tree.write({"./etc/new": b"new"})
    assert {"rootfs/lock", "layers/1-packages"} <= {*tree.ran(BOOTSMITH_LOCKED="yes")}
    assert (tree.file("etc/new"), tree.file("usr/share/tool"), tree.lock.read_bytes()) == ("new", "1:1.0+b1", before)

    tree.status = record("dpkg", "1.22") + record("apt", "3.0")
    tree.write()
    said = doit(tree.top, "image", status=1, BOOTSMITH_LOCKED="yes")
    assert "x.lock no longer fits (what is installed in the tree below changed)" in said
    assert tree.lock.read_bytes() == before
    away.rename(tree.archive.main)
    tree.ran()
    assert tree.locked() == {"tool": "1:1.0+b1", "lib": "1.1"}
    assert tree.file("usr/share/lib") == "1.1"
    tree.archive.advance()
    assert "lib  1.1 -> 1.2" in doit(tree.top, "update", "--package", "lib")
    assert tree.locked() == {"tool": "1:1.0+b1", "lib": "1.2"}


def test_packages_of_a_recipe_below_are_in_its_own_lock(tree: Tree) -> None:
    """A recipe whose tree another begins with has its packages resolved as it would itself."""
    text = "source: {recipe: x}\nsystem: none\nboot: {kernel: none, initrd: none}\noutputs: [tar]\n"
    (tree.top / "y.yaml").write_text(text)
    assert "rootfs/lock" in doit(tree.top, "image:y")
    assert tree.locked() == {"tool": "1:1.0+b1"}
    assert not (tree.top / "y.lock").exists()
    with tarfile.open(tree.top / "build/y/y.tar") as tar:
        assert "usr/share/tool" in {each.removeprefix("./") for each in tar.getnames()}
    assert re.findall(r"^(?:built|restored) .*$", doit(tree.top, "image:y"), re.MULTILINE) == []


@pytest.mark.boot
@pytest.mark.soak(whole=1)
def test_a_container_without_a_kernel_boots(tmp_path: Path) -> None:
    """A21, A5: an image with an init and no kernel is given its distribution's, and logs in from a BIOS's disk."""
    user = ordinary_user(tmp_path)
    project = Project.make(user.home / "project", user)
    (project.top / "recipes/container.yaml").write_text(CONTAINER)
    (project.top / "recipes/server.yaml").write_text(DISK)
    project.give_away()
    project.doit("image:container")
    project.doit("image:server")
    assert re.search("^kernel: linux-image-amd64$", (project.top / "recipes/server.lock").read_text(), re.MULTILINE)
    assert project.ran("image:server") == []
    assert "nonce seen" in project.doit("qemu-test:server")
