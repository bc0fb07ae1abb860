"""Who installs bootsmith as a library has other versions than the lock: both ends of each range are tried."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

TRIED = ("tests/recipe", "tests/packages", "tests/cache/store", "tests/build", "tests/command", "tests/disk/ext")
"""What uses each library: recipes PyYAML, packages urllib3, the store zstd and xxhash, builds doit and psutil."""
RUNNERS = ("pytest", "pytest-xdist", "hypothesis", "jsonschema", "hatchling")


def ranges() -> list[str]:
    """Return the requirements of the project itself, as pyproject.toml has them."""
    found: list[str] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    return found


def lowest(requirement: str) -> str:
    """Return the requirement for the lowest version that another one allows: `a>=1.2,<3; x` -> `a==1.2.*; x`."""

    def only(found: re.Match[str]) -> str:
        return f"=={found[1]}" if found[1].count(".") > 1 else f"=={found[1]}.*"

    return re.sub(r">=([\d.]+),<[\d.]+", only, requirement)


@pytest.mark.parametrize(
    ("requirement", "wanted"),
    [("doit>=0.37,<0.38", "doit==0.37.*"), ("pyyaml>=6.0.2,<7", "pyyaml==6.0.2"), ("psutil>=6,<8", "psutil==6.*")],
)
def test_the_lowest_version_is_told(requirement: str, wanted: str) -> None:
    """A range has a lower end, of which the newest mend counts."""
    assert lowest(requirement) == wanted


@pytest.mark.parametrize("requirement", ranges())
def test_each_range_has_two_ends(requirement: str) -> None:
    """What is not bounded cannot be tried."""
    assert re.match(r"[\w.-]+>=[\d.]+,<[\d.]+(;|$)", requirement)


@pytest.mark.soak(whole=1)
@pytest.mark.parametrize("end", ["lowest", "newest"])
def test_both_ends_of_the_ranges_pass(end: str, tmp_path: Path) -> None:
    """The tests of what uses the libraries, with the oldest of all of them and with the newest."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    wanted = [lowest(each) if end == "lowest" else each for each in ranges()]
    runners = [f"{each}=={version(each)}" for each in RUNNERS]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--upgrade"]
    subprocess.run([*pip, *wanted, *runners], check=True)
    listed = subprocess.run([*pip[:-3], "list"], check=True, capture_output=True, text=True).stdout
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-n", "2", *TRIED], cwd=CHECKOUT, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(tmp_path), "PYTHONPATH": f"{CHECKOUT}/src"}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{listed}\n{done.stdout[-20_000:]}"
