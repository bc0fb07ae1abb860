"""Projects as users have them: a dodo.py of two lines, recipes beside it, and doit run in their folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.ordinary_user import UID, OrdinaryUser, ordinary_user

PASSWORD = "correct horse battery staple"
"""Root's, in the recipes that ask for one."""


def dodo(recipe: str) -> str:
    """Return the dodo.py of a project with that default recipe."""
    return f'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("{recipe}")\n'


def environment(top: Path) -> dict[str, str]:
    """Return what doit runs with in a project that has a cache of its own."""
    return {**os.environ, "BOOTSMITH_CACHE": str(top / "cache"), "PYTHONPATH": str(CHECKOUT / "src")}


def doit(top: Path, *words: str, status: int = 0, **env: str) -> str:
    """Run `doit WORDS` in a project; return all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "doit", *words], cwd=top, env=environment(top) | env, text=True, capture_output=True,
        timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Project:
    """A project with copies of our recipes; `user` None is whoever runs the tests."""

    top: Path
    user: OrdinaryUser | None

    @classmethod
    def make(cls, top: Path, user: OrdinaryUser | None) -> Project:
        """Write the project below `top`, the user's own."""
        shutil.copytree(CHECKOUT / "recipes", top / "recipes", ignore=shutil.ignore_patterns("*.lock", "secrets"))
        (top / "dodo.py").write_text(dodo("recipes/minimal.yaml"))
        (top / "recipes/secrets").mkdir(mode=0o700)
        (top / "recipes/secrets/root.password").write_text(PASSWORD + "\n")
        project = cls(top, user)
        project.give_away()
        return project

    @property
    def cache(self) -> Path:
        return self.top / "cache"

    def give_away(self) -> None:
        """Make everything here the user's."""
        if self.user is not None and os.geteuid() == 0:
            for path in (self.top, *self.top.rglob("*")):
                os.chown(path, UID, UID, follow_symlinks=False)

    def command(self, *words: str) -> list[str]:
        """Return the words that run `doit WORDS` here, as the user."""
        argv = [sys.executable, "-m", "doit", *words]
        return self.user.command(*argv) if self.user else argv

    def environment(self) -> dict[str, str]:
        """Return what doit runs with."""
        return environment(self.top)

    def doit(self, *words: str) -> str:
        """Run `doit WORDS`, which must succeed; return what it printed."""
        done = subprocess.run(
            self.command(*words), cwd=self.top, env=self.environment(), text=True, capture_output=True, timeout=900,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ssh(self, *words: str) -> tuple[int, str]:
        """Run `doit ssh WORDS`; return its exit status and what it printed."""
        done = subprocess.run(
            self.command("ssh", *words), cwd=self.top, env=self.environment(), text=True, capture_output=True,
            timeout=900, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def ran(self, *words: str) -> list[str]:
        """Run `doit WORDS`; return the stages that were built or restored, in name order."""
        rows = [line.split() for line in self.doit(*words).splitlines()]
        return sorted(row[1] for row in rows if row and row[0] in ("built", "restored"))

    def digest(self, name: str) -> str:
        """Return the SHA-256 of an output."""
        with (self.top / "build" / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def partition(self, recipe: str, name: str) -> Path:
        """Return a partition's image."""
        return self.top / f"build/{recipe}/populate/{name}.img"

    def inside(self, recipe: str, command: str) -> str:
        """Ask the root filesystem by debugfs, which writes nothing."""
        return subprocess.run(
            ["debugfs", "-R", command, self.partition(recipe, "root")], text=True, capture_output=True, check=True
        ).stdout


@contextmanager
def built(factory: pytest.TempPathFactory, recipe: str) -> Iterator[Project]:
    """Yield a project whose `recipe` an ordinary user has built."""
    folder = factory.mktemp(recipe)
    user = ordinary_user(folder)
    project = Project.make(user.home / "project", user)
    project.doit(f"image:{recipe}")
    yield project
    shutil.rmtree(folder)
