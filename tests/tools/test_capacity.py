"""How much room there is."""

from __future__ import annotations

import os
from pathlib import Path

from bootsmith.tasks.tools import capacity


def test_memory_is_less_than_the_machine_has() -> None:
    """Available memory is some, and no more than there is."""
    assert 0 < capacity.memory_available() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_disk_is_that_of_the_path(tmp_path: Path) -> None:
    """Free disk is that of the file system asked about, for an ordinary user."""
    facts = os.statvfs(tmp_path)
    assert 0 < capacity.disk_free(tmp_path) <= facts.f_blocks * facts.f_frsize
    assert capacity.disk_free(Path("/proc")) == 0
