"""apt in a folder of its own: what it is told is installed, without its work of last time being lost."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.packages.apt import Apt


def test_what_is_installed_is_written_where_it_differs(tmp_path: Path) -> None:
    """The same leaves the file alone, also in a new run; another, however alike, has another time to the second."""
    apt, status = Apt(tmp_path, "amd64", {}), tmp_path / "status"
    assert status.read_bytes() == b""
    apt.take_for_installed("Package: a\n")
    before = status.stat()
    Apt(tmp_path, "amd64", {}).take_for_installed("Package: a\n")
    assert (status.stat().st_ino, status.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    seen = {int(before.st_mtime)}
    for number, letter in enumerate("bcd", 2):
        apt.take_for_installed(f"Package: {letter}\n")
        seen.add(int(status.stat().st_mtime))
        assert len(seen) >= 2, number
    assert status.read_text() == "Package: d\n"
