"""What is known of a host program: its names, who packages it, what shapes its work; and those that run all others.

The others stand in catalogue.py, apart: how a program is run is part of every stage's code, the list of them is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Tool(NamedTuple):
    """A host program, or a file of the host where `files` names the places it may stand in.

    `packages` maps a package manager to package names, separated by spaces. `data` are globs of the files that the
    program's work depends on, beyond its executable and libraries; `version` the words that make it print one.
    """

    name: str
    purpose: str
    packages: Mapping[str, str]
    data: tuple[str, ...] = ()
    version: tuple[str, ...] = ("--version",)
    aliases: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def packaged(apt: str, dnf: str = "", pacman: str = "", apk: str = "") -> dict[str, str]:
    """Return a tool's packages by package manager; a manager left out uses Debian's names."""
    return {"apt": apt, "dnf": dnf or apt, "pacman": pacman or apt, "apk": apk or apt}


_UIDMAP = packaged("uidmap", "shadow-utils", "shadow", "shadow-uidmap")

SH = Tool("sh", "runs what is done inside a tree", packaged("dash", "bash", "bash", "busybox"), version=())
SETPRIV = Tool("setpriv", "ends programs together with us", packaged("util-linux", apk="setpriv"))
UNSHARE = Tool("unshare", "gives programs namespaces of their own", packaged("util-linux", apk="util-linux-misc"))
MOUNT = Tool("mount", "gives programs a view of their own", packaged("mount", "util-linux-core", "util-linux", "mount"))
UMOUNT = Tool("umount", "takes the host out of it", packaged("mount", "util-linux-core", "util-linux", "umount"))
PIVOT_ROOT = Tool("pivot_root", "makes it their root", packaged("util-linux", apk="util-linux-misc"))
NEWUIDMAP = Tool("newuidmap", "lets an ordinary user own a tree's files", _UIDMAP, version=())
NEWGIDMAP = Tool("newgidmap", "lets an ordinary user's groups own a tree's files", _UIDMAP, version=())
