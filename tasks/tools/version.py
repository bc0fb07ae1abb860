"""The version that a host program prints: for people to read, and no part of what identifies it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import process
from bootsmith.tasks.tools.environment import ENVIRONMENT

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")


def printed_version(path: Path, words: Sequence[str]) -> str:
    """Return the version a program prints when called with these words; empty where it prints none."""
    if not words:
        return ""
    try:
        said = process.run([path, *words], env=ENVIRONMENT, cwd=Path("/"), check=False)
    except StageError:  # what walls programs off is itself missing: the table says so
        return ""
    found = _VERSION.search((said.stdout + said.stderr).decode(errors="replace"))
    return found.group() if found else ""
