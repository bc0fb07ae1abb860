"""This distribution's package manager: which it is, and the command by which it brings in what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bootsmith.tasks.tools import os_release
from bootsmith.tasks.tools.tool import Tool


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


def package_manager(facts: Mapping[str, str] | None = None) -> PackageManager | None:
    """Return the package manager that ID, else ID_LIKE, of os-release says this host has; None where it is unknown."""
    facts = os_release.of_host() if facts is None else facts
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
