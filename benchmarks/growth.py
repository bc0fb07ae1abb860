"""What a large folder costs: nothing to do, one file edited, against walking it; at 1, 10 and 100 times the files.

Processor time and memory of whole processes, measured in turn: on a busy machine they say more than the clock does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.support.kernel_files import bzimage

CHECKOUT = Path(__file__).parent.parent
DODO = 'from bootsmith.tasks import image_tasks\nDOIT_CONFIG, task_bootsmith = image_tasks("large.yaml")\n'
RECIPE = """\
source: {directory: tree}
system: none
layers:
  - overlay: files
boot: {loader: systemd-boot, kernel: vmlinuz, initrd: none}
outputs: [raw]
"""
WALK = """\
import os, sys
for folder, folders, files in os.walk(sys.argv[1]):
    for name in folders + files:
        os.lstat(os.path.join(folder, name))
"""
MEASURE = """\
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss << 10)
sys.exit(done.returncode)
"""
LEAST = 1000  # files, of which there are then 10 and 100 times as many
EDITS = 3
SMALL, LARGE = 40, 400  # MiB of a tree that no edit touches
MIB = 1 << 20


class Cost(NamedTuple):
    """Seconds of the processor, and the most memory in bytes, of a program with those that it ran."""

    cpu: float
    memory: int


@dataclass(frozen=True)
class Large:
    """A project whose recipe lays `files` over a tree, 100 of them to a folder; `held` MiB more are in the tree."""

    top: Path
    files: int
    held: int = 0

    def make(self) -> None:
        """Write it, and build it once."""
        shutil.rmtree(self.top, ignore_errors=True)
        (self.top / "tree/sbin").mkdir(parents=True)
        (self.top / "tree/sbin/init").write_text("#!/bin/sh\n")
        (self.top / "tree/sbin/init").chmod(0o755)
        with (self.top / "tree/held").open("wb") as file:
            for _ in range(self.held):
                file.write(os.urandom(MIB))
        for number in range(self.files):
            path = self._file(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"file {number}\n" * (number % 7 * 10 + 1))
        (self.top / "vmlinuz").write_bytes(bzimage())
        (self.top / "large.yaml").write_text(RECIPE)
        (self.top / "dodo.py").write_text(DODO)
        self.build()

    def _file(self, number: int) -> Path:
        return self.top / f"files/srv/{number // 1000}/{number // 100 % 10}/{number}"

    def walk(self) -> Cost:
        """Walk the folder, and stat each name in it."""
        return self._cost("-c", WALK, str(self.top / "files"))

    def build(self) -> Cost:
        """Run `doit raw`."""
        return self._cost("-m", "doit", "raw")

    def noop(self) -> Cost:
        """Run what `./doitw raw` runs."""
        return self._cost("-m", "bootsmith.tasks.command.start", "raw")

    def edit(self, number: int) -> Cost:
        """Change a letter of one file, and build."""
        path = self._file(self.files // 2 + number)
        path.write_text(path.read_text().replace("file", "fine" if "file" in path.read_text() else "file", 1))
        return self.build()

    def _cost(self, *words: str) -> Cost:
        environment = os.environ | {"BOOTSMITH_CACHE": str(self.top / "cache"), "PYTHONPATH": str(CHECKOUT / "src")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        argv = [sys.executable, "-c", MEASURE, sys.executable, *words]
        done = subprocess.run(argv, cwd=self.top, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        cpu, memory = done.stdout.split()
        return Cost(float(cpu), int(memory))


class Growth(NamedTuple):
    """At 1, 10 and 100 times the files: the walk, the no-op, one edit, each several times."""

    files: int
    walks: list[Cost]
    noops: list[Cost]
    edits: list[Cost]


def growth(top: Path) -> list[Growth]:
    """Measure projects of more and more files."""
    found = []
    for files in (LEAST, 10 * LEAST, 100 * LEAST):
        project = Large(top / str(files), files)
        project.make()
        project.build()
        rounds = [(project.walk(), project.noop(), project.edit(number)) for number in range(EDITS)]
        walks, noops, edits = (list(each) for each in zip(*rounds, strict=True))
        found.append(Growth(files, walks, noops, edits))
        shutil.rmtree(project.top)
    return found


def images(top: Path) -> list[float]:
    """Return what an edit costs in an image ten times as large, against a small one's."""
    small, large = Large(top / "small", LEAST, SMALL), Large(top / "large", LEAST, LARGE)
    for project in (small, large):
        project.make()
        project.build()
    found = [large.edit(number).cpu / small.edit(number).cpu for number in range(EDITS)]
    for project in (small, large):
        shutil.rmtree(project.top)
    return found
