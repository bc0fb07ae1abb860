"""The checkout that the tests are of, and copies of it to be edited."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from bootsmith.tasks.tools import virtualenv

CHECKOUT = Path(__file__).resolve().parents[2]
_FOLDERS = ("tasks", "cache", "recipes", "src", "tests", "benchmarks")
_FILES = (
    "dodo.py", "doitw", "pyproject.toml", "requirements.txt", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    ".gitignore",
)  # fmt: skip


def copied(target: Path) -> Path:
    """Copy the checkout to a folder that is not there yet, as it is before any work, links as links; return it."""
    for name in _FOLDERS:
        left_out = shutil.ignore_patterns("*.lock", "secrets", "__pycache__")
        shutil.copytree(CHECKOUT / name, target / name, symlinks=True, ignore=left_out)
    for name in _FILES:
        shutil.copy(CHECKOUT / name, target)
    return target


def set_up(checkout: Path) -> None:
    """Give a copy of the checkout the environment that ./doitw would make: its own, holding what this one has."""
    venv = checkout / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "locked.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (packages / virtualenv.POINTER).write_text(f"{checkout}/src\n")
    doit = venv / "bin/doit"
    doit.write_text(f"#!{venv}/bin/python\nfrom doit.__main__ import main\nraise SystemExit(main())\n")
    doit.chmod(0o755)
    shutil.copy(checkout / virtualenv.LOCK, venv)
    (venv / "checkout").write_text(f"{checkout}\n")
    (venv / "programs").touch()
