"""A FAT image as mtools read it, independent of what wrote it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def read_fat(image: Path) -> Mapping[str, bytes]:
    """Return the files of a FAT image, as mtools reads them."""
    env = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"}
    listing = subprocess.run(["mdir", "-/", "-b", "-i", image, "::"], env=env, capture_output=True, check=True).stdout
    paths = [line.removeprefix("::/") for line in listing.decode().splitlines() if not line.endswith("/")]
    return {
        path: subprocess.run(["mtype", "-i", image, f"::/{path}"], env=env, capture_output=True, check=True).stdout
        for path in paths
    }
