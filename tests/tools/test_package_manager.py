"""The package manager of this distribution, and the command that installs what is missing."""

from __future__ import annotations

import pytest
from bootsmith.tasks.tools import package_manager
from bootsmith.tasks.tools.catalogue import TOOLS


@pytest.mark.parametrize(
    ("os_release", "manager"),
    [
        ({"ID": "debian"}, "apt"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt"),
        ({"ID": "fedora"}, "dnf"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman"),
        ({"ID": "alpine"}, "apk"),
        ({"ID": "plan9"}, None),
        ({}, None),
    ],
)
def test_knows_the_package_manager(os_release: dict[str, str], manager: str | None) -> None:
    """The package manager follows from ID, else from ID_LIKE."""
    found = package_manager.package_manager(os_release)
    assert (found and found.name) == manager


def test_one_command_installs_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """All missing programs are one command, each package once; in words where the distribution is unknown (L13)."""
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "debian"})
    tools = [TOOLS["mmd"], TOOLS["mcopy"], TOOLS["sfdisk"]]
    assert package_manager.install_command(tools) == "apt-get install -y --no-install-recommends fdisk mtools"
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "alpine"})
    assert package_manager.install_command(tools) == "apk add mtools sfdisk"
    monkeypatch.setattr(package_manager.os_release, "of_host", dict)
    assert package_manager.install_command(tools) == "with your package manager: mcopy mmd sfdisk"
