"""The table of host programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host, host_table, package_manager, process, programs
from bootsmith.tasks.tools.catalogue import TOOLS
from bootsmith.tasks.tools.tool import Tool


def row(text: str, name: str) -> list[str]:
    """Return a tool's line, in words."""
    return next(line.split() for line in text.splitlines() if line.startswith(f"{name} "))


def test_lists_each_tool_with_version_place_and_use() -> None:
    """Every tool has a line: version, path, and which stages run it, else what it is for."""
    text = host_table.report({"mke2fs": ["populate/base", "populate/root"]})
    assert all(row(text, name) for name in TOOLS)
    assert row(text, "mke2fs")[2:] == [str(host.find("mke2fs")), "populate/base,", "populate/root"]
    assert row(text, "mke2fs")[1].count(".") == 2
    assert row(text, "gzip")[3] == "compresses"
    assert "Missing" not in text


def test_missing_ones_end_in_one_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All that is missing is said at once, with the one command that installs it (L13)."""
    monkeypatch.setattr(programs, "PATH", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(package_manager.os_release, "of_host", lambda: {"ID": "debian"})
    text = host_table.report()
    assert row(text, "mcopy")[1:3] == ["-", "missing"]
    command = next(line for line in text.splitlines() if "apt-get install" in line)
    assert {"mtools", "fdisk", "qemu-utils"} <= set(command.split())


def test_a_version_is_found_in_what_a_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that prints no version, or cannot be run, has none."""
    echo = Tool("echo", "", {}, version=("GNU echo (x) 1.2.3-4+deb12u1, of 2024",))
    assert host_table.version(echo, Path("/bin/echo")) == "1.2.3-4+deb12u1"
    assert host_table.version(Tool("echo", "", {}, version=("none",)), Path("/bin/echo")) == "-"

    def refuse(*_: object, **__: object) -> None:
        raise StageError("no")

    monkeypatch.setattr(process, "run", refuse)
    assert host_table.version(echo, Path("/bin/echo")) == "-"


def test_says_what_the_walls_do_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where programs cannot be walled off fully, the table says so."""
    monkeypatch.setattr(process, "caveats", lambda: ["pid namespaces are forbidden here"])
    monkeypatch.setattr(host_table, "version", lambda *_: "-")
    assert host_table.report().endswith("Note: pid namespaces are forbidden here.")
