"""A tree made by hand and the layers a recipe puts on top of it, each made by its real stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import layers
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.tree import foreign_tar, layer
from bootsmith.tasks.tree.layer import Entry
from bootsmith.tasks.tree.merged import Tree

from tests.support.recipe_folder import SOURCE, RecipeFolder
from tests.support.single_stage import run_stage
from tests.support.tar_members import Member, member, write_tar

EPOCH = 1_755_331_200
PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
)
GROUP = "root:x:0:\ndaemon:x:1:\nadm:x:4:\nshadow:x:42:\nsudo:x:27:\nwww-data:x:33:\n"
SHADOW = "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n"
GSHADOW = "root:*::\ndaemon:*::\nadm:*::\nshadow:*::\nsudo:*::\nwww-data:*::\n"

DEBIAN: Mapping[str, bytes | Member] = {
    "./": member("d"),
    "./bin": member("l", linkname="usr/bin"),
    "./lib": member("l", linkname="usr/lib"),
    "./sbin": member("l", linkname="usr/sbin"),
    "./etc/": member("d"),
    "./etc/group": GROUP.encode(),
    "./etc/gshadow": member(data=GSHADOW.encode(), mode=0o640, gid=42),
    "./etc/machine-id": member(mode=0o444),
    "./etc/motd": b"welcome\n",
    "./etc/os-release": member("l", linkname="../usr/lib/os-release"),
    "./etc/passwd": PASSWD.encode(),
    "./etc/shadow": member(data=SHADOW.encode(), mode=0o640, gid=42),
    "./etc/skel/": member("d"),
    "./etc/skel/.bashrc": b"# bashrc\n",
    "./etc/systemd/system/": member("d"),
    "./root/": member("d", mode=0o700),
    "./tmp/": member("d", mode=0o1777),
    "./usr/bin/bash": member(data=b"bash", mode=0o755),
    "./usr/sbin/init": member("l", linkname="../lib/systemd/systemd"),
    "./usr/lib/os-release": b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
    "./usr/lib/systemd/systemd": member(data=b"systemd", mode=0o755),
    "./usr/lib/systemd/system/": member("d"),
}
"""A merged-/usr Debian with systemd and hardly anything else."""


class TreeBuild:
    """One build in a folder, which is the current directory."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)
        self.folder = folder
        self.recipes = RecipeFolder(folder)
        self.site = Site("x", folder / "build/x", folder / "recipes/x.lock", EPOCH)
        self.told: list[str] = []
        """What the stages that ran told."""
        self._runs = 0

    def base(self, more: Mapping[str, bytes | Member] | None = None, *, only: bool = False) -> None:
        """Make the base layer: DEBIAN and more of it, or with `only` nothing else."""
        base = self.site.base
        base.tar.parent.mkdir(parents=True, exist_ok=True)
        members = {**({} if only else DEBIAN), **(more or {})}
        write_tar(base.tar, dict(sorted(members.items())))
        foreign_tar.index(base.tar, base.index)

    def recipe(self, text: str) -> Recipe:
        """Load the recipe whose keys after `source` are these."""
        return self.recipes.load(SOURCE + text)

    def tree(self, text: str) -> Tree:
        """Run all layer stages of a recipe; return the tree they come to."""
        recipe = self.recipe(text)
        for stage in layers.stages(recipe, self.site):
            self.run(stage)
        stack = layer_stack.stack(recipe, self.site)
        return Tree([each.index for each in stack], [each.tar for each in stack])

    def run(self, stage: Stage) -> None:
        self._runs += 1
        self.told += run_stage(stage, self.folder / f"scratch/{self._runs}")

    def added(self, name: str) -> dict[str, Entry]:
        """Return what a delta layer holds."""
        return {entry.path: entry for entry in layer.read_index(self.site.layer(name).index)}


def text(tree: Tree, path: str) -> str:
    """Return a file's text; it must be there."""
    found = tree.text(path)
    assert found is not None, f"{path} is not in the tree"
    return found
