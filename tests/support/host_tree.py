"""Programs of this host as members of a tree, in which they run: each with the libraries that it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.tar_members import Member, member


def programs(*names: str) -> dict[str, bytes | Member]:
    """Return these programs of the host in /usr/bin or /usr/sbin, as they are here, on a merged /usr."""
    found: dict[str, bytes | Member] = {"./lib64": member("l", linkname="usr/lib64")}
    for name in names:
        path = subprocess.run(["which", name], capture_output=True, check=True, text=True).stdout.strip()
        found[_place(path)] = member(data=Path(path).read_bytes(), mode=0o755)
        listed = subprocess.run(["ldd", path], capture_output=True, check=False, text=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            found[_place(library)] = member(data=Path(library).read_bytes(), mode=0o755)
    return found


def _place(path: str) -> str:
    return f".{path}" if path.startswith("/usr/") else f"./usr{path}"
