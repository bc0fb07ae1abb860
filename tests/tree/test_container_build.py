"""Containerfiles as sources, built offline by the container engine of this host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.tree.merged import Tree

from tests.support.checkout import CHECKOUT
from tests.support.container_images import layout, packed
from tests.support.host_tree import programs
from tests.support.ordinary_user import UID, ordinary_user
from tests.support.recipe_folder import RecipeFolder
from tests.support.single_stage import run_stage
from tests.support.tar_members import Member, member, write_tar

CAPABLE = bytes.fromhex("0100000200200000000000000000000000000000")
BASE: Mapping[str, bytes | Member] = {
    "etc/": member("d"),
    "etc/passwd": b"root:x:0:0::/:/bin/sh\n",
    "etc/old": b"old",
    "srv/": member("d"),
    "srv/ping": member(data=b"ping", mode=0o4755, uid=5, gid=7, xattrs={"security.capability": CAPABLE}),
    "dev/": member("d"),
    "dev/console": member("c", mode=0o600),
    "tmp/": member("d", mode=0o1777),
    "bin": member("l", linkname="usr/bin"),
    "lib": member("l", linkname="usr/lib"),
    "lib64": member("l", linkname="usr/lib64"),
}
FILE = """\
# syntax=docker/dockerfile:1
ARG RELEASE=0
FROM base:${RELEASE} AS made
ARG WORD=none
COPY . /srv/
RUN rm /etc/old; echo "$WORD $GIVEN" >/etc/said; chown 5:6 /etc/said; ln /etc/said /etc/again; \\
    if cat /proc/net/route | grep -q 0; then echo net >/etc/net; fi
FROM scratch
COPY --from=made / /mnt/
COPY --from=other /etc/extra /extra
"""

AGAIN = """
from pathlib import Path
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from tests.support.single_stage import run_stage

here = Path.cwd()
site = Site("x", here / "build", here / "recipes/x.lock", 86400)
recipe = load(here / "recipes/x.yaml")
for stage in (*rootfs.context(recipe, site), rootfs.stage(recipe, site)):
    run_stage(stage, here / "again")
"""


class Builds:
    """A folder with a Containerfile, its context and a tree that it begins with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipes = RecipeFolder(folder)
        self.context = folder / "recipes/context"
        self.context.mkdir()
        self._runs = 0

    def base(self, name: str, more: Mapping[str, bytes] | None = None) -> None:
        files = {**BASE, **programs("sh", "cat", "rm", "chown", "ln", "grep"), **(more or {})}
        write_tar(self.folder / "recipes" / name, files)

    def build(self, text: str, more: str = "") -> tuple[Tree, bytes]:
        """Build a Containerfile; return its tree, and the tar."""
        (self.folder / "recipes/Containerfile").write_text(text)
        self._runs += 1
        site = Site("x", self.folder / f"build/{self._runs}", self.folder / "none.lock", 86400)
        source = f"{{file: Containerfile, context: context{more}}}"
        recipe = self.recipes.load(
            f"source: {{container: {source}}}\nsystem: none\nboot: {{loader: grub-bios, initrd: none}}\n"
        )
        for stage in (*rootfs.context(recipe, site), rootfs.stage(recipe, site)):
            run_stage(stage, self.folder / f"work/{self._runs}")
        return Tree([site.base.index], [site.base.tar]), site.base.tar.read_bytes()

    def build_as_a_user(self) -> bytes:
        """Build what was built last in a copy of the folder, as an ordinary user with another umask."""
        scratch = self.folder
        top = scratch.with_name(f"{scratch.name}-other")
        shutil.copytree(scratch, top, symlinks=True, ignore=shutil.ignore_patterns("build", "work"))
        user = ordinary_user(scratch, readable=[top])
        for path in (top, *top.rglob("*")):
            os.chown(path, UID if os.geteuid() == 0 else -1, -1, follow_symlinks=False)
        words = [*user.command("sh", "-c", 'umask 077; exec "$@"', "sh"), sys.executable, "-c", AGAIN]
        env = {**os.environ, "BOOTSMITH_CACHE": str(top / "cache"), "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
        done = subprocess.run(words, cwd=top, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made = (top / "build/rootfs/base.tar").read_bytes()
        shutil.rmtree(top)
        return made


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    folder = tmp_path / ".odd:place"  # of which an engine would make no name
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Builds(folder)


def test_a_containerfile_is_built_offline(builds: Builds) -> None:
    """A1, A14, A22: its stages, arguments, context and images make the tree below a folder, to the same bytes twice."""
    builds.base("base.tar", {"manifest.json": b'{"name": "an app"}', "index.json": b"{}"})
    files = layout([packed(builds.folder, {"etc/": member("d"), "etc/extra": b"more"})])
    for name, data in files.items():
        (builds.folder / "recipes/other" / name).parent.mkdir(parents=True, exist_ok=True)
        (builds.folder / "recipes/other" / name).write_bytes(data)
    for name in ("kept", "dropped.o", ".dockerignore"):
        (builds.context / name).write_text("*.o\n")
    (builds.context / "kept").chmod(0o640)
    more = ", args: {RELEASE: '1', WORD: hello}, images: {'base:1': base.tar, other: other}"
    tree, first = builds.build(FILE, more + ", subdir: /mnt")
    assert tree.text("etc/said") == "hello \n"
    said = tree.entries["etc/said"][1]
    assert (said.uid, said.gid, said.mtime) == (5, 6, 86400)
    assert "h" in {tree.entries[path][1].type for path in ("etc/said", "etc/again")}
    ping = tree.entries["srv/ping"][1]
    assert (ping.mode, ping.uid, ping.gid) == (0o4755, 5, 7)
    assert tree.entries["srv/kept"][1].mode == 0o640
    assert tree.find("srv/dropped.o") is None
    assert tree.find("etc/old") is None
    assert tree.find("etc/net") is None, "a network could be reached"
    assert builds.build(FILE, more + ", subdir: /mnt")[1] == first
    whole, _ = builds.build(FILE, more)
    assert whole.text("extra") == "more"
    theirs = builds.build_as_a_user()
    assert theirs == builds.build(FILE, more)[1], "an ordinary user makes other bytes"
    made, _ = builds.build(FILE, more + ", target: made")
    console, ping = made.entries["dev/console"][1], made.entries["srv/ping"][1]
    assert (console.type, console.mode) == ("c", 0o600), "what the engine does not touch is as it was"
    assert ping.xattrs == {"security.capability": CAPABLE}


@pytest.mark.parametrize(
    ("text", "more", "what"),
    [
        ("FROM debian:12\n", "", "Containerfile begins with debian:12, and which bytes that is nobody said"),
        ("FROM scratch\nCOPY --from=alpine /x /\n", "", "begins with alpine, and which"),
        ("FROM scratch AS one\n", ", target: two", "Containerfile has no stage two"),
        ("RUN true\n", "", "Containerfile has no FROM"),
        ("FROM scratch\nCOPY missing /\n", "", "Containerfile: buildah failed"),
        (
            "FROM scratch\nCOPY kept /\n",
            ", subdir: /mnt",
            r"container\.subdir: /mnt: the container has no /mnt",
        ),
    ],
)
def test_what_is_wrong_with_a_containerfile_is_told(text: str, more: str, what: str, builds: Builds) -> None:
    """Of the user's file, in words, and before the engine is asked where that can be."""
    (builds.context / "kept").write_text("")
    with pytest.raises((StageError, ToolFailed), match=what):
        builds.build(text, more)
