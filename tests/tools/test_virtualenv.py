"""The virtual environment of a checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.tools import virtualenv
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.checkout import CHECKOUT, copied

PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Path:
    """Return a checkout that depends on nothing, so that no network is needed."""
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    (checkout / "requirements.txt").write_text("# nothing\n")
    (checkout / "src").mkdir()
    (checkout / "src/marker.py").write_text("print('from the checkout')\n")
    return checkout


def made(checkout: Path) -> list[str]:
    """Note the environments that are made, without making any."""
    return [path.name for path in checkout.iterdir() if path.name.startswith(".venv")]


def test_makes_an_environment_that_sees_the_checkout(checkout: Path) -> None:
    """The environment runs under its final name, finds the checkout, and leaves no other beside it."""
    virtualenv.ensure(checkout)
    python = checkout / ".venv/bin/python"
    done = subprocess.run([python, "-m", "marker"], check=True, stdout=subprocess.PIPE, text=True, cwd="/")
    assert done.stdout == "from the checkout\n"
    subprocess.run([checkout / ".venv/bin/pip", "--version"], check=True, stdout=subprocess.DEVNULL)
    assert sorted(made(checkout)) == [".venv", ".venv.lock"]
    assert not any(b".venv.new" in path.read_bytes() for path in (checkout / ".venv/bin").iterdir())
    assert python.resolve() == virtualenv.base_python()


def test_makes_it_once(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that is current is left alone; what is locked by now is the one reason to make another."""
    calls: list[str] = []

    def make(new: Path, _final: Path, _checkout: Path) -> None:
        calls.append((checkout / "requirements.txt").read_text())
        (new / "bin").mkdir(parents=True)
        (new / "bin/python").symlink_to(sys.executable)
        (new / "checkout").write_text(f"{checkout}\n")
        (new / "requirements.txt").write_text(calls[-1])

    monkeypatch.setattr(virtualenv, "_make", make)
    virtualenv.ensure(checkout)
    virtualenv.ensure(checkout)
    (checkout / "pyproject.toml").write_text("[project]\n")
    virtualenv.ensure(checkout)
    assert calls == ["# nothing\n"]
    (checkout / "requirements.txt").write_text("doit==1\n")
    virtualenv.ensure(checkout)
    assert calls == ["# nothing\n", "doit==1\n"]


@pytest.mark.parametrize("harm", ["python gone", "moved", "never finished"])
def test_makes_it_anew_where_it_cannot_work(checkout: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    """An environment whose Python is gone, that was made elsewhere, or was never finished, is not used."""
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to("/nonexistent/python3.9" if harm == "python gone" else sys.executable)
    (venv / "requirements.txt").write_text((checkout / "requirements.txt").read_text())
    if harm != "never finished":
        (venv / "checkout").write_text("/somewhere/else\n" if harm == "moved" else f"{checkout}\n")
    monkeypatch.setattr(virtualenv, "_make", lambda new, *_: (new / "new").mkdir(parents=True))
    virtualenv.ensure(checkout)
    assert (venv / "new").is_dir()


@pytest.mark.parametrize(
    ("hashes", "said"),
    [
        ("--hash=sha256:{right}", ""),
        ("--hash=sha256:{wrong}", "DO NOT MATCH THE HASHES"),
        ("", "Hashes are required"),
    ],
    ids=["as locked", "another file", "no hash"],
)
def test_installs_what_is_locked_alone(checkout: Path, hashes: str, said: str) -> None:
    """Only the file that was locked is installed; of another, pip's words are shown, and what was there stays."""
    (checkout / ".venv").mkdir()
    (checkout / ".venv/old").touch()
    wheel = checkout / "example-1-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        archive.writestr("example.py", "")
        archive.writestr("example-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1\n")
        archive.writestr("example-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("example-1.dist-info/RECORD", "")
    locked = hashes.format(right=hashlib.sha256(wheel.read_bytes()).hexdigest(), wrong="0" * 64)
    (checkout / "requirements.txt").write_text(f"example @ {wheel.as_uri()} {locked}\n")
    if said:
        with pytest.raises(BootsmithError, match=said):
            virtualenv.ensure(checkout)
        assert (checkout / ".venv/old").exists()
    else:
        virtualenv.ensure(checkout)
        subprocess.run([checkout / ".venv/bin/python", "-c", "import example"], check=True)
        assert not (checkout / ".venv/old").exists()


def test_two_at_once_make_one(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is made, nobody else makes it."""

    def make(new: Path, *_: object) -> None:
        with (checkout / ".venv.lock").open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.mkdir()

    monkeypatch.setattr(virtualenv, "_make", make)
    virtualenv.ensure(checkout)
    assert (checkout / ".venv").is_dir()


COMPILED = """
import atexit, os, runpy, sys

compiled, here = set(), os.getcwd()

def hook(event, args):
    if event == "compile" and isinstance(args[1], (str, bytes)) and os.path.exists(args[1]):
        compiled.add(os.path.realpath(os.fsdecode(args[1])))

sys.addaudithook(hook)
sys.argv[:] = ["doitw", "list"]
atexit.register(lambda: print(*(each for each in compiled if each.startswith(here)), sep="\\n", file=sys.stderr))
runpy.run_module("bootsmith.tasks.command.start", run_name="__main__")
"""
"""A start of doitw that ends by telling which of the checkout's sources were compiled for it."""


def test_a_start_compiles_nothing_after_set_up(tmp_path: Path) -> None:
    """Where compiled code is not written, as in many a container, set-up made it: all of ours that a start loads."""
    checkout = copied(tmp_path / "checkout")
    (checkout / ".venv/bin").mkdir(parents=True)
    python = checkout / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={checkout}/src exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (checkout / ".venv/checkout").write_text(f"{checkout}\n")
    (checkout / ".venv/requirements.txt").write_text((checkout / "requirements.txt").read_text())

    def compiled() -> set[str]:
        done = subprocess.run(
            [python, "-c", COMPILED], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, check=False,
            cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return {str(Path(line).relative_to(checkout)) for line in done.stderr.splitlines() if line}

    assert compiled() >= {"dodo.py", "src/bootsmith/__init__.py", "tasks/command/start.py", "cache/digest/memo.py"}
    virtualenv.ensure(checkout)
    assert compiled() == set()


class Locked(NamedTuple):
    """A version that is locked, and for which Pythons."""

    version: str
    marker: Marker | None
    hashes: int

    def counts(self, python: str) -> bool:
        """Tell whether it is installed for a version of Python on Linux."""
        where = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
        return self.marker is None or self.marker.evaluate({**where, "platform_python_implementation": "CPython"})


@pytest.fixture(name="lock", scope="module")
def fixture_lock() -> dict[str, Locked]:
    """Return what requirements.txt locks, by canonical name."""
    text = re.sub(r"^ *#.*\n", "", (CHECKOUT / virtualenv.LOCK).read_text(), flags=re.MULTILINE)
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        written, *hashes = line.split(" --hash=")
        requirement = Requirement(written)
        (pinned,) = requirement.specifier
        assert pinned.operator == "=="
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64} *", each) for each in hashes)
        found[canonicalize_name(requirement.name)] = Locked(pinned.version, requirement.marker, len(hashes))
    return found


def wanted() -> list[Requirement]:
    """Return what pyproject.toml asks for: for users and for developers, since `./doitw test` needs both."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    lists = (
        project["project"]["dependencies"],
        project["project"]["optional-dependencies"]["dev"],
        project["build-system"]["requires"],
    )
    return [Requirement(each) for listed in lists for each in listed]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_holds_what_pyproject_asks_for(lock: dict[str, Locked], python: str) -> None:
    """What ./doitw installs is in the ranges that pyproject.toml gives; who changes them locks anew."""
    for requirement in wanted():
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            locked = lock[canonicalize_name(requirement.name)]
            assert locked.counts(python)
            assert requirement.specifier.contains(locked.version), requirement


def test_the_lock_is_whole(lock: dict[str, Locked]) -> None:
    """Each package is locked by its files' hashes, with all that it depends on, and nothing that nobody asks for."""
    assert [name for name, each in lock.items() if not each.hashes] == []
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    needed: set[str] = set()
    names = [canonicalize_name(each.name) for each in wanted() if not each.marker or each.marker.evaluate()]
    while names:
        name = names.pop()
        if name not in needed:
            needed.add(name)
            assert metadata.version(name) == lock[name].version
            below = [Requirement(each) for each in metadata.requires(name) or []]
            names += [
                canonicalize_name(each.name) for each in below if not each.marker or each.marker.evaluate({"extra": ""})
            ]
    assert needed == {name for name, each in lock.items() if each.counts(python)}
