"""The virtual environment of a checkout."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
from bootsmith.tasks.errors import BootsmithError
from bootsmith.tasks.tools import virtualenv

PROJECT = """\
[project]
name = "example"
version = "1"
dependencies = [{0}]
[project.optional-dependencies]
dev = []
"""


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Path:
    """Return a checkout that depends on nothing, so that no network is needed."""
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").write_text(PROJECT.format(""))
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
    """An environment that is current is left alone; a comment in pyproject.toml is no reason, a dependency is."""
    calls: list[list[str]] = []

    def make(new: Path, _final: Path, _checkout: Path, wanted: list[str]) -> None:
        calls.append(wanted)
        (new / "bin").mkdir(parents=True)
        (new / "bin/python").symlink_to(sys.executable)
        (new / "checkout").write_text(f"{checkout}\n")
        (new / "requirements").write_text("".join(f"{each}\n" for each in wanted))

    monkeypatch.setattr(virtualenv, "_make", make)
    virtualenv.ensure(checkout)
    virtualenv.ensure(checkout)
    (checkout / "pyproject.toml").write_text(PROJECT.format("") + "# a comment\n")
    virtualenv.ensure(checkout)
    assert calls == [[]]
    assert (checkout / ".venv/pyproject.toml").read_text() == (checkout / "pyproject.toml").read_text()
    (checkout / "pyproject.toml").write_text(PROJECT.format("'doit>=1'"))
    virtualenv.ensure(checkout)
    assert calls == [[], ["doit>=1"]]


@pytest.mark.parametrize("harm", ["python gone", "moved", "never finished"])
def test_makes_it_anew_where_it_cannot_work(checkout: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    """An environment whose Python is gone, that was made elsewhere, or was never finished, is not used."""
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to("/nonexistent/python3.9" if harm == "python gone" else sys.executable)
    (venv / "requirements").write_text("")
    if harm != "never finished":
        (venv / "checkout").write_text("/somewhere/else\n" if harm == "moved" else f"{checkout}\n")
    monkeypatch.setattr(virtualenv, "_make", lambda new, *_: (new / "new").mkdir(parents=True))
    virtualenv.ensure(checkout)
    assert (venv / "new").is_dir()


def test_a_failure_keeps_the_old_one(checkout: Path) -> None:
    """When pip fails its words are shown, and what was there before still is."""
    (checkout / ".venv").mkdir()
    (checkout / ".venv/old").touch()
    (checkout / "pyproject.toml").write_text(PROJECT.format("'bootsmith @ file:///nonexistent'"))
    with pytest.raises(BootsmithError, match="nonexistent"):
        virtualenv.ensure(checkout)
    assert (checkout / ".venv/old").exists()


def test_two_at_once_make_one(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is made, nobody else makes it."""

    def make(new: Path, *_: object) -> None:
        with (checkout / ".venv.lock").open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.mkdir()

    monkeypatch.setattr(virtualenv, "_make", make)
    virtualenv.ensure(checkout)
    assert (checkout / ".venv").is_dir()


def test_requirements_are_those_of_users_and_developers() -> None:
    """`./doitw test` needs both lists of pyproject.toml."""
    wanted = virtualenv.requirements(Path(__file__).parents[2])
    assert {name for name in ("doit", "pytest") if any(each.startswith(name) for each in wanted)} == {"doit", "pytest"}
