"""The host programs bootsmith runs: where to find them, who packages them, and what identifies them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bootsmith.tasks.errors import ToolMissing

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str) -> Path:
    """Return the path of a host program. Raises ToolMissing."""
    found = shutil.which(name, path=f"{PATH}:{os.environ.get('PATH', '')}")
    if found is None:
        raise ToolMissing(f"{name} is not installed", "Run `doit tools` to see what to install.")
    return Path(found)
