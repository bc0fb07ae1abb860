"""Programs in the place of the host's, for processes that are started."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.checkout import CHECKOUT

_CUSTOM = """
from bootsmith.tasks.tools import programs
programs.PATH = "{folder}:" + programs.PATH
"""


def stand_in(folder: Path, name: str, text: str) -> str:
    """Write a Python program for a host's; return the PYTHONPATH with which Python finds it before that."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\n{text}")
    (folder / name).chmod(0o755)
    (folder / "sitecustomize.py").write_text(_CUSTOM.format(folder=folder))
    return f"{folder}:{CHECKOUT / 'src'}"
