"""This host: where its programs are, what identifies them, which are missing and what command brings them in.

Needs nothing beyond the standard library: the wrapper asks before there is a virtual environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools.catalogue import TOOLS, Tool

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo

__all__ = ["PATH", "TOOLS", "Tool", "find", "identity", "install_command", "missing", "package_manager"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(name: str) -> Path:
    """Return the path of a host program or file, not resolved: some programs act by their name. Raises ToolMissing."""
    tool = TOOLS.get(name)
    if tool and tool.files:
        for place in tool.files:
            if os.path.exists(place):  # noqa: PTH110  a tenth of pathlib's time, and every no-op asks
                return Path(place)
    else:
        folders = f"{PATH}:{os.environ.get('PATH', '')}".split(":")
        for alias in (name, *(tool.aliases if tool else ())):
            for folder in folders:
                path = f"{folder}/{alias}"
                if folder.startswith("/") and os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
                    return Path(path)
    hint = f"Install it: {install_command([tool])}" if tool else "Run `doit tools` to see what to install."
    raise ToolMissing(f"{name} is not installed", hint)


def missing(names: Iterable[str] = tuple(TOOLS)) -> list[Tool]:
    """Return those of the named tools that this host has not."""
    absent = []
    for name in names:
        try:
            find(name)
        except ToolMissing:
            absent.append(TOOLS[name])
    return absent


def identity(name: str, memo: Memo) -> str:
    """Return the hash of a tool's executable, interpreter, libraries and data files. Raises ToolMissing."""
    from bootsmith.tasks.tools import identity as identities

    tool = TOOLS.get(name)
    if tool is None:
        return identities.identity(find(name), (), memo)
    return identities.identity(find(name), tool.data, memo, () if tool.files else tool.version)


class PackageManager(NamedTuple):
    """A distribution's package manager: the words that install packages, and those that must run first."""

    name: str
    install: tuple[str, ...]
    refresh: tuple[str, ...] = ()


_MANAGERS = {
    "apt": PackageManager("apt", ("apt-get", "install", "-y", "--no-install-recommends"), ("apt-get", "update")),
    "dnf": PackageManager("dnf", ("dnf", "install", "-y", "--setopt=install_weak_deps=False")),
    "pacman": PackageManager("pacman", ("pacman", "-S", "--needed", "--noconfirm"), ("pacman", "-Sy")),
    "apk": PackageManager("apk", ("apk", "add"), ("apk", "update")),
}
_FAMILIES = {
    "debian": "apt",
    "ubuntu": "apt",
    "fedora": "dnf",
    "rhel": "dnf",
    "centos": "dnf",
    "arch": "pacman",
    "alpine": "apk",
}


def package_manager(os_release: Mapping[str, str] | None = None) -> PackageManager | None:
    """Return the package manager that ID, else ID_LIKE, of os-release says this host has; None where it is unknown."""
    facts = _os_release() if os_release is None else os_release
    for family in (facts.get("ID", ""), *facts.get("ID_LIKE", "").split()):
        if family in _FAMILIES:
            return _MANAGERS[_FAMILIES[family]]
    return None


def packages(tools: Iterable[Tool], manager: PackageManager) -> list[str]:
    """Return the packages that bring in the tools, sorted, each once."""
    return sorted({package for tool in tools for package in tool.packages[manager.name].split()})


def install_command(tools: Iterable[Tool]) -> str:
    """Return the one command line that installs the tools, or in words what is needed where we know no command."""
    tools = list(tools)
    manager = package_manager()
    if manager is None:
        return f"with your package manager: {' '.join(sorted(tool.name for tool in tools))}"
    import shlex

    return shlex.join([*manager.install, *packages(tools, manager)])


def _os_release() -> dict[str, str]:
    places = (Path("/etc/os-release"), Path("/usr/lib/os-release"))
    return next((read_os_release(place) for place in places if place.exists()), {})


def read_os_release(path: Path) -> dict[str, str]:
    """Return what an os-release file says."""
    lines = path.read_text(errors="replace").splitlines()
    return {key: value.strip().strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
