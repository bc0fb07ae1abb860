"""A project of toy stages on the real engine: quick enough to try every way a build can go wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import forked_runs
from tests.support.checkout import CHECKOUT
from tests.support.toy_stages import CUSTOM, DODO, PLAN, STAGES, TOOL

ENTRIES = {"doit": "doit", "doitw": "bootsmith.tasks.command.start"}
"""What a user types, and the module that is run."""

ALL = ["assemble", "convert/qcow2", "layers/tree", "layers/upper", "rootfs"]
"""The stages, in name order."""


@dataclass
class ToyProject:
    """A toy project in a folder of its own, with a cache of its own; `variables` are added to doit's environment.

    `entry` is the module that is run as doit: doit itself, or what ./doitw runs. `forks` False: each run is a Python
    that is started for it, rather than a fork of one that waits (see forked_runs.py).
    """

    top: Path
    variables: dict[str, str] = field(default_factory=dict)
    entry: str = "doit"
    forks: bool = True

    @classmethod
    def make(cls, top: Path, cache: Path | None = None) -> ToyProject:
        """Write the project below `top`."""
        for name, text in (("dodo", DODO), ("sitecustomize", CUSTOM), ("toyplan", PLAN), ("toystages", STAGES)):
            (top / f"{name}.py").write_text(textwrap.dedent(text))
        (top / "toy.yaml").write_text("one\n")
        (top / "source").write_text("first line\nsecond line\n")
        (top / "password").write_text("hunter2\n")
        (top / "tree").mkdir()
        (top / "tree/a").write_text("a")
        (top / "bin").mkdir()
        (top / "bin/toytool").write_text(TOOL)
        (top / "bin/toytool").chmod(0o755)
        project = cls(top)
        project.cache = cache or top / "cache"
        return project

    def environment(self) -> dict[str, str]:
        """Return what the project's doit runs with."""
        return {
            "PATH": f"{self.top / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.top),
            "PYTHONPATH": f"{self.top}:{CHECKOUT / 'src'}",
            "BOOTSMITH_CACHE": str(self.cache),
            **self.variables,
        }

    def doit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `doit WORDS` here."""
        return self._run(("-m", self.entry, *words), forked_runs.DOIT)

    def before_doit(self, *words: str) -> str | None:
        """Run `doitw WORDS` where nothing is planned or begun, and neither doit nor dodo.py can be loaded.

        Return what it said, None if it asked for doit.
        """
        program = (
            "import sys; sys.modules |= {'doit': None, 'dodo': None}\n"
            "from bootsmith.tasks.command import stage_run, start\n"
            "start._can_begin = stage_run.are_stages = lambda *_: False; start.main()"
        )
        done = self._run(("-c", program, *words), forked_runs.STANDARD)
        if done.returncode:
            assert re.search(r"ModuleNotFoundError: .*\bdoit\b.*\n$", done.stderr), done.stderr
            assert "fresh" not in done.stdout
            return None
        assert done.stderr == ""
        return done.stdout

    def without_doit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `doitw WORDS` where neither doit nor dodo.py can be loaded."""
        program = (
            "import sys; sys.modules |= {'doit': None, 'dodo': None}\n"
            "from bootsmith.tasks.command.start import main; main()"
        )
        return self._run(("-c", program, *words), forked_runs.STANDARD)

    def _run(self, argv: Sequence[str], modules: Sequence[str]) -> subprocess.CompletedProcess[str]:
        if self.forks:
            return forked_runs.run(argv, self.top, self.environment(), modules=modules)
        return subprocess.run(
            [sys.executable, *argv],
            cwd=self.top,
            env=self.environment(),
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `doit WORDS` here, in a process group of its own."""
        return subprocess.Popen(
            # As on a terminal: a shell that starts the tests in its background, or by nohup, has them ignore some
            ["env", "--default-signal=INT,HUP", sys.executable, "-m", self.entry, *words],
            cwd=self.top,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def image(self, *words: str) -> list[str]:
        """Run `doit image` (or `words`), which must succeed; return the stages that ran, in name order."""
        before = len(self.runs())
        done = self.doit(*(words or ("image",)))
        assert done.returncode == 0, done.stdout + done.stderr
        return sorted(self.runs()[before:])

    def runs(self) -> list[str]:
        """Return the stages that ever ran here, in order."""
        path = self.top / "runs"
        return path.read_text().splitlines() if path.exists() else []

    def disk(self) -> str:
        """Return the content of the final image."""
        return (self.top / "build/toy/disk.qcow2").read_text()


def snapshot(project: ToyProject) -> dict[str, tuple[int, int, bytes]]:
    """Inode, mtime and content of every output."""
    found = [path for path in (project.top / "build/toy").iterdir() if path.is_file()]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in found}
