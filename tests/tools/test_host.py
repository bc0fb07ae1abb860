"""This host: finding what the catalogue names."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools import host, package_manager, programs
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tools.tool import Tool


@pytest.fixture(autouse=True)
def _no_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Look for programs in a folder of the test's own, on a Debian."""
    monkeypatch.setattr(programs, "PATH", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "debian"})


def program(path: Path, mode: int = 0o755) -> Path:
    """Make an empty program."""
    path.write_bytes(b"")
    path.chmod(mode)
    return path


def test_finds_a_program_by_the_name_it_is_run_by(tmp_path: Path) -> None:
    """Links stay links: mtools and its kind act by the name they are called by."""
    program(tmp_path / "mtools")
    (tmp_path / "mcopy").symlink_to("mtools")
    assert host.find("mcopy") == tmp_path / "mcopy"


def test_neither_a_plain_file_nor_a_folder_is_a_program(tmp_path: Path) -> None:
    """What cannot be executed is passed over."""
    program(tmp_path / "mcopy", 0o644)
    (tmp_path / "mmd").mkdir()
    assert [tool.name for tool in host.missing(["mcopy", "mmd"])] == ["mcopy", "mmd"]


def test_the_user_path_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program outside of the usual folders is found by PATH, relative entries of which are ignored."""
    (tmp_path / "own").mkdir()
    program(tmp_path / "own/mcopy")
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.setenv("PATH", ".:")
    with pytest.raises(ToolMissing):
        host.find("mcopy")
    monkeypatch.setenv("PATH", f"{tmp_path}/own")
    assert host.find("mcopy") == tmp_path / "own/mcopy"
    program(tmp_path / "mcopy")
    assert host.find("mcopy") == tmp_path / "mcopy"


def test_a_distribution_may_name_a_program_otherwise(tmp_path: Path) -> None:
    """Fedora's grub2-mkimage is grub-mkimage."""
    program(tmp_path / "grub2-mkimage")
    assert host.find("grub-mkimage") == tmp_path / "grub2-mkimage"


def test_files_are_found_where_a_distribution_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Firmware and the like are tools too: the first place that exists."""
    places = (str(tmp_path / "debian.fd"), str(tmp_path / "fedora.fd"))
    monkeypatch.setitem(TOOLS, "ovmf", Tool("ovmf", "", {"apt": "ovmf"}, files=places))  # type: ignore[arg-type]
    with pytest.raises(ToolMissing):
        host.find("ovmf")
    program(tmp_path / "fedora.fd")
    assert host.find("ovmf") == tmp_path / "fedora.fd"


def test_a_missing_program_names_its_package() -> None:
    """The error for one missing program holds the command that installs it."""
    with pytest.raises(ToolMissing, match="mcopy is not installed") as caught:
        host.find("mcopy")
    assert caught.value.hint == "Install it: apt-get install -y --no-install-recommends mtools"


def test_every_tool_has_a_package_everywhere() -> None:
    """No manager is without a package for any tool."""
    for tool in TOOLS.values():
        assert set(tool.packages) == {"apt", "dnf", "pacman", "apk"}, tool.name
        assert all(tool.packages.values()), tool.name
