"""Somebody works on while a build runs: edits, undoes, switches branches. What is built next is of what is there."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.toy_project import ToyProject

LINES = ("first", "second", "third")

Edit = Callable[[Path, random.Random], None]


def source(top: Path, chance: random.Random) -> None:
    """Write the source, in place or beside and renamed, with the times it had or not."""
    path = top / "source"
    target = path if chance.random() < 0.5 else path.with_name("source.new")
    target.write_text(f"{chance.choice(LINES)} line\n")
    if chance.random() < 0.5:
        shutil.copystat(path, target)
    target.replace(path)


def tree(top: Path, chance: random.Random) -> None:
    """Add or remove a name in the tree."""
    path = top / "tree" / chance.choice(LINES)
    if chance.random() < 0.5:
        path.write_text("")
    else:
        path.unlink(missing_ok=True)


def password(top: Path, chance: random.Random) -> None:
    """Another password, of another length."""
    (top / "password").write_text("x" * chance.randint(1, 9))


def option(top: Path, chance: random.Random) -> None:
    """Another recipe."""
    (top / "toy.yaml").write_text(f"{chance.choice(LINES)}\n")


def code(top: Path, chance: random.Random) -> None:
    """Other code of ours, of the same length; what is half written has half its functions, and says so by itself."""
    new = top / "toystages.new"
    before, after = chance.sample(["splitlines()[0].upper()", "splitlines()[0].lower()"], 2)
    new.write_text((top / "toystages.py").read_text().replace(before, after))
    new.replace(top / "toystages.py")


def tool(top: Path, chance: random.Random) -> None:
    """Another version of a host program."""
    new = top / "bin/toytool.new"
    new.write_text((top / "bin/toytool").read_text().rpartition("#")[0] + f"# {chance.randint(1, 9)}\n")
    new.chmod(0o755)
    new.replace(top / "bin/toytool")


EDITS: tuple[Edit, ...] = (source, tree, password, option, code, tool)


def expected(top: Path) -> str:
    """Return what a disk holds that is built of what is there."""
    line = (top / "source").read_text().splitlines()[0]
    line = line.upper() if "[0].upper()" in (top / "toystages.py").read_text() else line.lower()
    names = "\n".join(sorted(path.name for path in (top / "tree").iterdir()))
    return f"{line}{(top / 'toy.yaml').read_text().strip()}{len((top / 'password').read_text().strip())}{names}"


def meddle(top: Path, chance: random.Random) -> None:
    """Edit a few things, at any moment of a build, and mostly put all of it back: as it was, times and all."""
    kept = top / "kept"
    for _ in range(chance.randint(1, 3)):
        time.sleep(chance.uniform(0, 0.08))
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        undone = chance.random() < 0.7
        for name in ("source", "password", "toy.yaml", "toystages.py", "bin", "tree") if undone else ():
            copy = shutil.copytree if (top / name).is_dir() else shutil.copy2
            copy(top / name, kept / name)
        for edit in chance.sample(EDITS, chance.choice((1, 1, 2, 6))):
            edit(top, chance)
        if undone:
            time.sleep(chance.uniform(0, 0.04))
            (kept / "toystages.py").replace(top / "toystages.py")
            for name in ("source", "password", "toy.yaml"):
                (kept / name).replace(top / name) if chance.random() < 0.5 else shutil.copy2(kept / name, top / name)
            for name in ("bin", "tree"):
                (top / name).rename(top / "gone")
                (kept / name).rename(top / name)
                shutil.rmtree(top / "gone")


@pytest.mark.soak(ci=25, whole=500)
def test_a_build_is_of_what_is_there(tmp_path: Path, rounds: int) -> None:
    """Whatever was read meanwhile, the next build and what the store gives are of the present content (V2, V5)."""
    project = ToyProject.make(tmp_path)
    project.image()
    chance = random.Random(20_261_129)
    for number in range(rounds):
        for edit in chance.sample(EDITS, 2):
            edit(tmp_path, chance)
        working = threading.Thread(target=meddle, args=(tmp_path, chance))
        working.start()
        done = project.doit("image")
        working.join()
        assert done.returncode in (0, 1, 3), done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        for _ in range(2):
            project.image()
            assert project.disk() == expected(tmp_path), f"round {number}: {done.stdout}"
            assert (tmp_path / "build/toy/base").read_text() == (tmp_path / "source").read_text()
            shutil.rmtree(tmp_path / "build")  # what comes now is restored
        with suppress(FileNotFoundError):
            (tmp_path / "runs").unlink()
