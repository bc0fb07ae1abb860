"""Layers of packages: this host's own apt and dpkg in a tree install packages that are made here."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import lockfile
from bootsmith.tasks.packages.lockfile import LayerPackages, LockFile, Package
from bootsmith.tasks.planning.stages import layers, rootfs
from bootsmith.tasks.tree import layer

from tests.support.apt_tree import debian
from tests.support.checkout import CHECKOUT
from tests.support.debian_archive import full
from tests.support.ordinary_user import UID, ordinary_user
from tests.support.tree_build import EPOCH, TreeBuild

RECIPE = "layers: [{name: tools, packages: {install: [tool], remove: [old]}}]\nsystem: none"
POSTINST = """\
#!/bin/sh
set -eu
[ "$1" = configure ] || exit 0
invoke() { policy-rc.d tool start || return 0; touch /started; }
invoke
start-stop-daemon --start --exec /bin/ls --background
read -r answer </dev/null || answer=none
echo "$answer $DEBIAN_FRONTEND" >/etc/answered
mkdir -p /etc/ssh /etc/keys
echo key >/etc/ssh/ssh_host_x_key
printf '%s\\n' '-----BEGIN PRIVATE KEY-----' >/etc/keys/mine.pem
echo 0123 >/etc/machine-id
"""


def deb(name: str, control: Mapping[str, str], scripts: Mapping[str, str], data: Mapping[str, bytes]) -> bytes:
    """Return a package with scripts and files; every folder is a member, as dpkg-deb has it."""
    fields = full({"Package": name, "Version": "1", **control})
    about = "".join(f"{key}: {value}\n" for key, value in fields.items())
    found = b"!<arch>\n"
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": packed({"control": about.encode(), **{key: text.encode() for key, text in scripts.items()}}),
        "data.tar": packed(data),
    }
    for part, content in parts.items():
        found += f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        found += b"\n" * (len(content) % 2)
    return found


def packed(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folders = {str(above) for path in files for above in Path(path).parents}
        for name in sorted({*folders, *files}):
            info = tarfile.TarInfo("./" if name == "." else f"./{name}")
            info.mtime = 1_000_000_000
            info.mode = 0o755
            if name in folders:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                info.size = len(files[name])
                tar.addfile(info, io.BytesIO(files[name]))
    return made.getvalue()


DEBS = {
    "tool": deb(
        "tool",
        {"Depends": "lib", "Version": "1:2.0"},
        {"postinst": POSTINST, "conffiles": "/etc/tool.conf\n"},
        {
            "usr/bin/tool": b"tool",
            "etc/tool.conf": b"theirs\n",
            "usr/share/doc/tool/README": b"",
        },
    ),
    "lib": deb(
        "lib",
        {"Architecture": "all"},
        {
            "preinst": "#!/bin/sh\n"
            "dpkg-divert --quiet --package lib --rename --divert /etc/group.dist --add /etc/group\n"
        },
        {"etc/group": b"root:x:0:\n", "usr/share/doc/lib/copyright": b"free"},
    ),
}


def package(name: str, version: str, arch: str, *, asked: bool) -> Package:
    data = DEBS[name]
    return Package(name, version, arch, "main", asked, len(data), hashlib.sha256(data).hexdigest(), f"pool/{name}.deb")


LOCK = LockFile(
    {"suite": "trixie", "arch": "amd64", "layer1": "tools +tool -old"},
    EPOCH,
    (package("lib", "0", "all", asked=True),),
    layers={
        "tools": LayerPackages(
            (package("lib", "1", "all", asked=False), package("tool", "1:2.0", "amd64", asked=True)), ("old",)
        )
    },
)


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    """A tree with a package manager, a lock, and the packages it names in the store."""
    made = TreeBuild(tmp_path, monkeypatch)
    monkeypatch.setenv("BOOTSMITH_CACHE", str(tmp_path / "cache"))
    made.base(debian())
    lock(made, LOCK)
    return made


def lock(build: TreeBuild, what: LockFile) -> None:
    """Write the lock, and its parts as their stage does; put the packages into the store."""
    store = Store(default_root())
    for name, data in DEBS.items():
        file = build.folder / f"{name}.deb"
        file.write_bytes(data)
        store.put_sha256(file, hashlib.sha256(data).hexdigest())
    build.site.lock.parent.mkdir(exist_ok=True)
    lockfile.write(build.site.lock, what)
    for stage in rootfs.lock_parts(build.recipe(RECIPE), build.site):
        build.run(stage)


def test_packages_are_installed_and_removed(build: TreeBuild) -> None:
    """C8: as locked, by the tree's dpkg: scripts run, diversions hold, settings stay as they are, nobody is asked.

    No service starts (C16), no documentation comes where the tree has none, and nothing of this machine's stays.
    """
    tree = build.tree(RECIPE)
    found = build.added("tools")
    assert {path for path in found if found[path].type != "d" and not path.startswith("var/lib/dpkg/")} == {
        "usr/bin/tool", "usr/lib/.wh.old", "usr/share/doc/lib/copyright", "var/lib/apt/extended_states",
        "etc/group", "etc/group.dist", "etc/answered", "etc/tool.conf.dpkg-dist",
    }  # fmt: skip
    assert tree.text("etc/answered") == "none noninteractive\n"
    assert tree.text("etc/tool.conf") == "mine\n"
    assert (tree.text("etc/group"), "daemon" in (tree.text("etc/group.dist") or "")) == ("root:x:0:\n", True)
    assert tree.text("var/lib/apt/extended_states") == "Package: lib\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    status = tree.text("var/lib/dpkg/status") or ""
    assert "Package: old" not in status
    assert status.count("Status: install ok installed") == 3
    assert (found["usr/bin/tool"].mtime, found["etc/answered"].mtime) == (1_000_000_000, EPOCH)
    assert any("/etc/keys/mine.pem: made as it was installed" in line for line in build.told)


def test_a_tree_that_did_not_become_what_was_locked_is_refused(build: TreeBuild) -> None:
    """Where apt comes to something else than the lock says, the layer is none."""
    tool = package("tool", "1:2.0", "amd64", asked=True)
    wrong = dataclasses.replace(tool, sha256=hashlib.sha256(DEBS["lib"]).hexdigest())
    lock(build, dataclasses.replace(LOCK, layers={"tools": LayerPackages((wrong,), ())}))
    with pytest.raises(StageError, match="apt-get failed"):
        build.tree(RECIPE)
    assert not build.site.layer("tools").tar.exists()


def test_the_lock_is_parted(build: TreeBuild) -> None:
    """C8: what the tree begins with is made of its own part: with other layers, that part stays as it is."""
    base = build.site.base_lock.read_bytes()
    plain = dataclasses.replace(LOCK, layers={}, request={"suite": "trixie", "arch": "amd64"})
    assert base.decode() == lockfile.to_text(plain)
    mine = build.site.layer_lock("tools").read_bytes()
    lock(build, dataclasses.replace(LOCK, packages=()))
    assert build.site.layer_lock("tools").read_bytes() == mine
    assert build.site.base_lock.read_bytes() != base
    assert [stage.inputs["lock"] for stage in layers.stages(build.recipe(RECIPE), build.site)] == [
        build.site.layer_lock("tools")
    ]


AGAIN = """
import sys
from pathlib import Path
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import layers
from tests.support.single_stage import run_stage

here = Path.cwd()
site = Site("x", here / "build/x", here / "recipes/x.lock", int(sys.argv[1]))
run_stage(layers.stages(load(here / "recipes/x.yaml"), site)[0], here / "again")
"""
"""A program that makes the first layer of the project in the current directory."""


def test_an_ordinary_user_gets_the_same_bytes(build: TreeBuild, tmp_path: Path) -> None:
    """V11: root and an ordinary user, in different folders under different umasks, make the same layer, bit for bit."""
    build.tree(RECIPE)
    top = tmp_path.with_name(f"{tmp_path.name}-other")
    shutil.copytree(tmp_path, top, symlinks=True, ignore=shutil.ignore_patterns("scratch"))
    theirs = top / build.site.layer("tools").tar.relative_to(tmp_path)
    ours = build.site.layer("tools").tar.read_bytes()
    theirs.unlink()
    user = ordinary_user(tmp_path, readable=[top])
    for path in (top, *top.rglob("*")):
        os.chown(path, UID if os.geteuid() == 0 else -1, -1, follow_symlinks=False)
    words = [*user.command("sh", "-c", 'umask 077; exec "$@"', "sh"), sys.executable, "-c", AGAIN, str(EPOCH)]
    env = {**os.environ, "BOOTSMITH_CACHE": str(top / "cache"), "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
    done = subprocess.run(words, cwd=top, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert theirs.read_bytes() == ours
    shutil.rmtree(top)


def test_the_layer_is_told_in_the_index(build: TreeBuild) -> None:
    """V7: the layer is a tar in OCI form: what is removed is a whiteout, and every name lies in a folder."""
    build.tree(RECIPE)
    entries = layer.read_index(build.site.layer("tools").index)
    assert "usr/lib/.wh.old" in [entry.path for entry in entries if entry.name.startswith(layer.WHITEOUT)]
