"""Builds that are killed or refused at any instant: no wrong image, nothing finished redone, nothing left behind."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support import file_faults, finished_stages
from tests.support.kill_deadline import Deadline
from tests.support.toy_project import ToyProject


@dataclass
class MistreatedProject:
    """A toy project to be mistreated; `scratch` lies outside it."""

    project: ToyProject
    scratch: Path
    before: dict[str, str] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    count: int = 0

    @property
    def top(self) -> Path:
        return self.project.top

    def expected(self) -> str:
        """Return what the image must hold, worked out from the present inputs alone."""
        first = (self.top / "source").read_text().splitlines()[0].upper()
        password = (self.top / "password").read_text().rstrip("\n")
        names = sorted(path.relative_to(self.top / "tree").as_posix() for path in (self.top / "tree").rglob("*"))
        return f"{first}{(self.top / 'toy.yaml').read_text().strip()}{len(password)}" + "\n".join(names)

    def run(self, extra: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        """Run `doit WORDS` with a fault in wait for it."""
        environment = self.project.environment()
        hook = extra.get("HOOK")
        path = f"{hook}:{environment['PYTHONPATH']}" if hook else environment["PYTHONPATH"]
        return subprocess.run(
            [sys.executable, "-m", "doit", *words], cwd=self.top, env={**environment, **extra, "PYTHONPATH": path},
            text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def look(self) -> None:
        """Note what is finished by now: stages recorded here, results in the store."""
        keys = finished_stages.recorded(self.top / "build/toy")
        self.before = {name: key for name, key in keys.items() if not self._damaged(name)}  # else it is not finished
        self.stored = finished_stages.stored(self.project.cache)
        self.count = len(self.project.runs())

    def _damaged(self, name: str) -> bool:
        made = {
            "rootfs": "base", "layers/tree": "names", "layers/upper": "upper",
            "assemble": "disk.raw", "convert/qcow2": "disk.qcow2",
        }  # fmt: skip
        return not (self.top / "build/toy" / made[name]).is_file()

    def mend(self) -> None:
        """Run plainly once; everything must be right then, and nothing finished was done again."""
        self.look()
        done = self.project.doit("image")
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.project.disk() == self.expected()
        assert (self.top / "build/toy/disk.raw").read_text() == self.expected()
        keys = finished_stages.recorded(self.top / "build/toy")
        for stage in self.project.runs()[self.count :]:
            assert keys[stage] not in self.stored, f"{stage} was in the store, and was built again"
            assert keys[stage] != self.before.get(stage), f"{stage} was finished, and was built again"
        self.check_tidy()
        assert self.project.image() == []

    def check_tidy(self) -> None:
        """Demand that no process, temporary file or work folder is left."""
        top = str(self.top)
        left = [each for each in psutil.process_iter() if _mentions(each, top)]
        _, left = psutil.wait_procs(left, timeout=30)
        assert left == []
        assert [path for path in self.top.rglob(".tmp-*") if path.is_file()] == []
        for folder in (self.top / "build/toy/.bootsmith/tmp", self.project.cache / "tmp"):
            assert not folder.exists() or list(folder.iterdir()) == []


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        return any(text in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


@pytest.fixture
def mistreated(tmp_path: Path) -> MistreatedProject:
    top, scratch = tmp_path / "project", tmp_path / "scratch"
    top.mkdir()
    scratch.mkdir()
    return MistreatedProject(ToyProject.make(top), scratch)


def edit(mistreated: MistreatedProject, word: str) -> None:
    (mistreated.top / "source").write_text(f"line {word}\nsecond line\n")


SITUATIONS = ("input edited", "target deleted", "forced", "edit reverted", "tree edited", "option edited", "all new")


def disturb(mistreated: MistreatedProject, situation: str, word: str) -> tuple[str, ...]:
    """Bring a situation about; return the words of the build to be killed in it."""
    match situation:
        case "input edited" | "edit reverted":
            edit(mistreated, word)
        case "target deleted":
            (mistreated.top / "build/toy/upper").unlink()
            (mistreated.top / "build/toy/disk.raw").unlink()
        case "forced":
            return ("-a", "image")
        case "tree edited":
            (mistreated.top / "tree" / word).touch()
        case "option edited":
            (mistreated.top / "toy.yaml").write_text(f"{word}\n")
        case "all new":
            shutil.rmtree(mistreated.top / "build")
            shutil.rmtree(mistreated.project.cache)
    return ("image",)


@pytest.mark.soak(ci=28, whole=1000)
@pytest.mark.xdist_group("faults-random")
def test_a_build_killed_at_random_is_finished_by_the_next(mistreated: MistreatedProject, rounds: int) -> None:
    """Whatever was edited, deleted or forced, and taken back before the next run or not (L11, C8, V5, V6)."""
    mistreated.mend()
    chance = random.Random(20_261_121)
    started = time.monotonic()
    assert mistreated.project.image("-a", "image")
    deadline = Deadline(time.monotonic() - started, chance, idle=1 / 3)  # which is Python's own start
    for number in range(rounds):
        situation = SITUATIONS[number % len(SITUATIONS)]
        before = (mistreated.top / "source").read_text()
        words = disturb(mistreated, situation, f"w{number}")
        doit = mistreated.project.start(*words)
        with contextlib.suppress(subprocess.TimeoutExpired):
            doit.wait(timeout=deadline.draw())
        doit.kill()
        said, failed = doit.communicate()
        assert doit.returncode in (0, -signal.SIGKILL), said + failed
        deadline.note(killed=doit.returncode < 0)
        if situation == "edit reverted":
            (mistreated.top / "source").write_text(before)
        mistreated.mend()
    assert deadline.killed > rounds // 3


def again(mistreated: MistreatedProject, situation: str, number: int) -> tuple[str, ...]:
    """Bring the same situation about once more; an edit taken back goes to and fro between two contents."""
    word = f"w{number}" if situation != "edit reverted" else "one" if "two" in mistreated.expected().lower() else "two"
    return disturb(mistreated, situation, word)


@pytest.mark.soak(ci=4, whole=10_000)
@pytest.mark.parametrize("kind", ["KILL", "ENOSPC", "EIO", "EACCES"])
@pytest.mark.parametrize("situation", ["all new", "input edited", "edit reverted", "target deleted"])
def test_a_build_may_be_cut_at_any_change_it_makes(
    mistreated: MistreatedProject, situation: str, kind: str, rounds: int
) -> None:
    """Killed before, or refused, its n-th opening, renaming, removing or making of a file, for every n (L11, C8)."""
    for word in ("one", "two"):
        edit(mistreated, word)
        mistreated.mend()
    below = [mistreated.top / "build", mistreated.project.cache]
    counted = file_faults.environment(mistreated.scratch, kind, 0, below, spared="runs")
    assert mistreated.run(counted, *again(mistreated, situation, 0)).returncode == 0
    changes = file_faults.seen(mistreated.scratch)
    assert changes > 10
    chance = random.Random(f"{situation} {kind}")
    fired = 0
    for at in sorted(chance.sample(range(1, changes + 1), min(rounds, changes))):
        words = again(mistreated, situation, at)
        done = mistreated.run(file_faults.environment(mistreated.scratch, kind, at, below, spared="runs"), *words)
        fired += done.returncode == -9 or file_faults.FIRED in done.stderr
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        assert done.returncode in (0, 1, -9), done.stdout + done.stderr
        mistreated.mend()
    assert fired > min(rounds, changes) // 2
