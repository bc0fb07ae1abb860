"""The checkout that the tests are of, and copies of it to be edited."""

from __future__ import annotations

import shutil
from pathlib import Path

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
