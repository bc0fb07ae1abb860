"""The rootfs: its stage, and real builds of a small one."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from bootsmith.cache.digest.memo import Memo
from bootsmith.cache.store.store import Store
from bootsmith.tasks.packages import bootstrap, lockfile, renewal
from bootsmith.tasks.packages.lockfile import LockFile, Package
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs as stages
from bootsmith.tasks.tree import layer
from bootsmith.tasks.tree.merged import Tree

from tests.support import observed_access
from tests.support.checkout import CHECKOUT
from tests.support.debian_archive import deb
from tests.support.ordinary_user import UID, ordinary_user
from tests.support.recipe_folder import RecipeFolder

RECIPE = "source: {debian: {suite: bookworm, packages: [iputils-ping, openssh-server, ssl-cert, nvme-cli]}}\n"
BUILD = """
import sys
from pathlib import Path
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.packages import lockfile
from tests.support.single_stage import run_stage

here = Path.cwd()
recipe = load(here / "recipes/x.yaml")
lock = here / "recipes/x.lock"
run_stage(rootfs.stage(recipe, Site("x", here / "build", lock, lockfile.read(lock).date)), here / "scratch")
"""
"""A program that builds the rootfs of a project in the current directory."""


def test_the_mirror_is_no_parameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where packages come from does not count: two mirrors give one key."""
    monkeypatch.chdir(tmp_path)
    recipe = RecipeFolder(tmp_path).load(RECIPE)
    site = Site("x", tmp_path / "build", tmp_path / "x.lock", 1)
    one = stages.stage(recipe, site)
    other = stages.stage(
        dataclasses.replace(recipe, source=dataclasses.replace(recipe.source, mirror="file:///m")), site
    )
    assert one._replace(hints={}) == other._replace(hints={})
    assert one.inputs == {"lock": site.lock}


def test_marks_tell_what_nobody_asked_for() -> None:
    """apt is told which packages came only because others need them, so that it may remove them with those."""
    asked = Package("tool", "1", "amd64", "main", True, 1, "0" * 64, "x")
    needed = dataclasses.replace(asked, name="lib", arch="all", asked=False)
    marks = bootstrap._marks(LockFile({"arch": "amd64"}, 0, (asked, needed)))
    assert marks == "Package: lib\nArchitecture: amd64\nAuto-Installed: 1\n\n"


BESIDES = {
    r"/etc/(apt/apt\.conf\.d|dpkg/dpkg\.cfg(\.d)?|hostname|resolv\.conf)": "others lie over them, see tree/scratch.py",
    r"/var/lib/apt/lists": "asked for being there; what is read is the tree's",
    r"/usr/(share|lib(/[\w-]+)?)/perl[\w-]*/.*": "Perl's own modules: they count by dpkg's lists",
}
"""What mmdebstrap opens beyond `observed_access.REASONS`, and why it shapes no tree: patterns of whole paths."""


class Project:
    """A folder with a recipe, its lock and a cache of downloads."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        top.mkdir()
        monkeypatch.chdir(top)
        self.top = top
        self.recipe = RecipeFolder(top).load(RECIPE)
        self.lock = top / "recipes/x.lock"
        self.cache = top / "cache"
        self.site = Site("x", top / "build", self.lock, 0)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BOOTSMITH_CACHE": str(self.cache),
            "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}",
        }

    def build(self, *before: str) -> None:
        words = [*before, sys.executable, "-c", BUILD]
        done = subprocess.run(words, cwd=self.top, env=self.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def digests(self) -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.site.base.tar, self.site.base.index)]

    def add(self, package: bytes) -> None:
        """Have one package more in the lock, and in the store."""
        digest, file = hashlib.sha256(package).hexdigest(), self.top / "x.deb"
        file.write_bytes(package)
        Store(self.cache).put_sha256(file, digest)
        lock = lockfile.read(self.lock)
        added = Package("curious", "1", "amd64", "main", True, len(package), digest, "x.deb")
        lockfile.write(self.lock, dataclasses.replace(lock, packages=(*lock.packages, added)))

    def tree(self) -> Tree:
        return Tree([self.site.base.index], [self.site.base.tar])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that was built once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Project(tmp_path_factory.mktemp("rootfs") / "one", monkeypatch)
        renewal.ensure(made.recipe, made.lock, Store(made.cache), lambda _: None)
        made.add(deb({"Package": "curious", "Version": "1"}, postinst=CURIOUS))
        made.build()
    return made


def another(project: Project, top: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a second project with the same lock and the same downloads."""
    made = Project(top, monkeypatch)
    shutil.copy(project.lock, made.lock)
    shutil.copytree(project.cache, made.cache)
    return made


@pytest.mark.boot
def test_an_ordinary_user_gets_the_same_bytes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V11: root and an ordinary user, in different folders under different umasks, make the same tar, bit for bit."""
    theirs = another(project, tmp_path / "other", monkeypatch)
    user = ordinary_user(tmp_path, readable=[theirs.top])
    for path in (theirs.top, *theirs.top.rglob("*")):
        os.chown(path, UID if os.geteuid() == 0 else -1, -1)
    theirs.build(*user.command("sh", "-c", 'umask 077; exec "$@"', "sh"))
    assert theirs.digests() == project.digests()


@pytest.mark.boot
def test_what_packages_make_for_one_machine_is_not_in_it(project: Project) -> None:
    """Keys of ssh and of ssl-cert, the name that nvme-cli gives: those of this build would be every machine's."""
    tree = project.tree()
    assert tree.find("usr/sbin/make-ssl-cert") is not None
    assert [name for name in tree.names("etc/ssh") if name.startswith("ssh_host_")] == []
    assert [name for name in tree.names("etc/nvme") if name.startswith("host")] == []
    assert tree.names("etc/ssl/private") == []
    links = {name: entry.link for name in tree.names("etc/ssl/certs") if (entry := tree.link(f"etc/ssl/certs/{name}"))}
    assert "ssl-cert-snakeoil.pem" not in {*links, *links.values()}


@pytest.mark.boot
def test_what_packages_run_sees_no_hardware(project: Project) -> None:
    """Scripts of packages find /proc, but no processor, disk, swap, module or command line in it, nor a /sys (V11)."""
    assert Path("/proc/cpuinfo").read_bytes()
    assert project.tree().text("etc/curious") == "localhost\n"


CURIOUS = """#!/bin/sh
set -e
test -e /proc/self/status
cat /proc/sys/kernel/hostname /proc/cpuinfo /proc/cmdline /proc/modules /proc/partitions /proc/swaps >/etc/curious || :
ls -A /sys >>/etc/curious
"""


@pytest.mark.boot
def test_the_tree_is_what_was_locked(project: Project) -> None:
    """Exactly the lock's packages are installed, each configured, and nothing else."""
    status = project.tree().text("var/lib/dpkg/status") or ""
    installed = {}
    for stanza in status.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
        assert fields["Status"] == "install ok installed"
        installed[fields["Package"]] = fields["Version"]
    assert installed == {package.name: package.version for package in lockfile.read(project.lock).packages}


@pytest.mark.boot
def test_nothing_of_the_builder_is_left(project: Project) -> None:
    """C11: no host keys, no machine-id, no names or mirrors of the host, no caches, logs or documentation."""
    tree = project.tree()
    assert tree.read("etc/machine-id") in (None, b"")
    assert (tree.text("etc/apt/sources.list") or "").startswith("#")
    absent = (
        "etc/hostname", "etc/resolv.conf", "etc/dpkg/dpkg.cfg.d/99mmdebstrap", "etc/apt/apt.conf.d/99mmdebstrap",
        "var/log/dpkg.log", "var/cache/ldconfig/aux-cache", "usr/share/man/man1",
    )  # fmt: skip
    assert [path for path in absent if tree.link(path)] == []
    for folder, kept in (("etc/ssh", "ssh_host_"), ("var/cache/apt/archives", ".deb"), ("var/lib/apt/lists", "_")):
        assert [name for name in tree.names(folder) if kept in name] == []
    files = [path for path, (_, entry) in tree.entries.items() if entry.type == "f"]
    assert {path.rpartition("/")[2] for path in files if path.startswith("usr/share/doc/")} == {"copyright"}


@pytest.mark.boot
def test_owners_modes_and_capabilities_survive(project: Project) -> None:
    """A2: owners, set-uid bits and file capabilities are in the tar, and every time is at most the lock's."""
    tree = project.tree()
    shadow, mount, ping = (tree.find(path) for path in ("etc/shadow", "usr/bin/mount", "usr/bin/ping"))
    assert shadow is not None
    assert mount is not None
    assert ping is not None
    assert (shadow.uid, shadow.gid, shadow.mode) == (0, 42, 0o640)
    assert mount.mode == 0o4755
    assert len(ping.xattrs["security.capability"]) == 20  # a namespace's own would hold its root's number too: 24
    assert max(entry.mtime for entry in layer.read_index(project.site.base.index)) <= lockfile.read(project.lock).date


@pytest.mark.boot
def test_a_killed_build_leaves_nothing(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """L11, C8: a build killed while it installs leaves no process and no file in the tree; the next one is complete."""
    theirs = another(project, tmp_path / "other", monkeypatch)
    running = subprocess.Popen([sys.executable, "-c", BUILD], cwd=theirs.top, env=theirs.environment())
    inside = wait_for(running.pid, "dpkg")
    running.send_signal(signal.SIGKILL)
    running.wait()
    _, alive = psutil.wait_procs(inside, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert not list(theirs.top.glob("scratch/rootfs/scratch/tree/*"))
    shutil.rmtree(theirs.top / "scratch")
    theirs.build()
    assert theirs.digests() == project.digests()


def wait_for(pid: int, name: str) -> list[psutil.Process]:
    """Wait until a program of this name runs below a process; return all that run there."""
    parent = psutil.Process(pid)
    while True:
        found = parent.children(recursive=True)
        if any(_name(each) == name for each in found):
            return found
        psutil.wait_procs(found or [parent], timeout=0.05)
        assert parent.is_running(), "the build ended early"


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


@pytest.mark.soak(whole=1)
@pytest.mark.boot
def test_what_makes_a_rootfs_is_in_its_key(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its packages and declared programs it opens nothing of the host that could shape it (V10)."""
    other = another(project, tmp_path / "other", monkeypatch)
    other.build(*observed_access.tracer(tmp_path / "trace"))
    assert other.digests() == project.digests()
    seen = observed_access.Access(set(), observed_access.traced(tmp_path / "trace"))
    stage = stages.stage(other.recipe, other.site._replace(epoch=lockfile.read(other.lock).date))
    found = observed_access.undeclared_files(stage, seen, tmp_path, Memo(tmp_path / "memo"))
    assert sorted(each for each in found if not any(re.fullmatch(reason, each) for reason in BESIDES)) == []
