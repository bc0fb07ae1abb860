"""The shared libraries of a program: those that its own loader names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bootsmith.tasks.errors import ToolMissing
from bootsmith.tasks.tools import host, shared_libraries


def test_the_loader_names_the_libraries() -> None:
    """The libraries are those that are loaded, the loader itself among them."""
    names = [Path(each).name for each in shared_libraries.libraries(Path(sys.executable).resolve())]
    assert any(name.startswith(("libc.so", "libc.musl", "ld-musl")) for name in names)
    assert any(name.startswith("ld-") for name in names)
    assert all(Path(each).is_file() for each in shared_libraries.libraries(host.find("mke2fs")))


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(58), b"text"])
def test_other_files_have_no_loader(tmp_path: Path, content: bytes) -> None:
    """Plain files and static programs ask for no loader."""
    (tmp_path / "file").write_bytes(content)
    assert shared_libraries.interpreter(tmp_path / "file") is None


def test_a_program_whose_library_is_gone_is_missing(tmp_path: Path) -> None:
    """A program that its loader cannot load is told apart from one that works."""
    broken = tmp_path / "broken"
    broken.write_bytes(Path("/bin/cat").resolve().read_bytes().replace(b"libc.so.6", b"libX.so.6"))
    with pytest.raises(ToolMissing, match="broken cannot start"):
        shared_libraries.libraries(broken)
