"""Disks as run-dir makes them of a directory, and as a guest might leave them: made of another directory."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

from bootsmith.tasks.planning.site import Site
from bootsmith.tasks.planning.stages import unpartitioned

from tests.support.single_stage import run_stage


def disk_of(top: Path, scratch: Path) -> Path:
    """Return the disk of a directory, made below `scratch`."""
    site = Site("tree", scratch / "build", scratch / "none.lock", 0)
    run_stage(unpartitioned.of_directory(top, site, kernel=False), scratch / "work")
    return unpartitioned.disk(site)


def copy(top: Path, target: Path) -> Path:
    """Return a copy of a directory, the same in everything."""
    subprocess.run(["cp", "-a", top, target], check=True)
    return target


def described(top: Path) -> dict[str, tuple[Any, ...]]:
    """Return what a directory holds: kind, mode, content, target, numbers and attributes; who is a link of whom."""
    found: dict[str, tuple[Any, ...]] = {}
    first: dict[int, str] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status = path.lstat()
        name = str(path.relative_to(top))
        kind = stat.S_IFMT(status.st_mode)
        held: Any = None
        if kind == stat.S_IFREG:
            held = path.read_bytes()
        elif kind == stat.S_IFLNK:
            held = os.readlink(path)  # noqa: PTH115  as it is
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            held = status.st_rdev
        twin = first.setdefault(status.st_ino, name) if kind != stat.S_IFDIR else ""
        attributes = {
            each: os.getxattr(path, each, follow_symlinks=False) for each in os.listxattr(path, follow_symlinks=False)
        }
        found[name] = (kind, stat.S_IMODE(status.st_mode), held, twin, status.st_uid, status.st_gid, attributes)
    return found


def debugfs(image: Path, *commands: str) -> None:
    """Let debugfs write into an image. Its exit status says nothing: the test must look at what came of it."""
    lines = "".join(f"{line}\n" for line in commands)
    subprocess.run(["debugfs", "-w", "-f", "-", image], input=lines, text=True, check=True, capture_output=True)


def sparse_copy(image: Path, target: Path) -> Path:
    """Return a copy of a disk."""
    subprocess.run(["cp", "--sparse=always", image, target], check=True)
    return target


def has(*programs: str) -> bool:
    """Tell whether this host has programs."""
    return all(shutil.which(each) for each in programs)
