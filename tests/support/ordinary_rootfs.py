"""The rootfs of a recipe, made by an ordinary user in a folder of its own, out of a copy of the mirror."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.checkout import CHECKOUT
from tests.support.ordinary_user import UID, ordinary_user

_BUILD = """
from pathlib import Path
from bootsmith.tasks.packages import lockfile
from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import rootfs
from bootsmith.tasks.recipe.load import load
from tests.support.single_stage import run_stage

here = Path.cwd()
lock = here / "recipes/x.lock"
site = Site("x", here / "one", lock, lockfile.read(lock).date)
run_stage(rootfs.stage(load(here / "recipes/x.yaml"), site), here / "other.scratch")
"""
"""A program that builds the rootfs of a project in the current directory."""


def build_as_ordinary_user(top: Path, recipes: Path, mirror: Path) -> subprocess.CompletedProcess[str]:
    """Build x.yaml of `recipes`, which has its lock, in a new folder `top`; the base layer is one/rootfs/base.tar."""
    shutil.copytree(recipes, top / "recipes")
    shutil.copytree(mirror, top / "mirror")
    recipe = top / "recipes/x.yaml"
    recipe.write_text(recipe.read_text().replace(str(mirror), str(top / "mirror")))
    user = ordinary_user(recipes.parent, readable=[top])
    for path in (top, *top.rglob("*")):
        os.chown(path, UID if os.geteuid() == 0 else -1, -1, follow_symlinks=False)
    words = [*user.command("sh", "-c", 'umask 077; exec "$@"', "sh"), sys.executable, "-c", _BUILD]
    env = {**os.environ, "BOOTSMITH_CACHE": str(top / "cache"), "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
    return subprocess.run(words, cwd=top, env=env, capture_output=True, text=True, check=False)
