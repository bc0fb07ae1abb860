"""What a directory of the host lacks as a tree: told only where no way that is not looked into may bring it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.planning.own_tree import may_have_kernel


@pytest.mark.parametrize(
    "kernel", ["boot/vmlinuz-6.1", "boot/vmlinuz", "boot/bzImage", "vmlinuz", "usr/lib/modules/6.1/vmlinuz"]
)
def test_a_kernel_by_any_of_its_names_is_seen(kernel: str, tmp_path: Path) -> None:
    """All names by which the stage finds one are looked for; one that leads elsewhere in the tree may be one."""
    assert not may_have_kernel(tmp_path)
    (tmp_path / kernel).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / kernel).write_bytes(b"")
    assert may_have_kernel(tmp_path)
    (tmp_path / kernel).unlink()
    (tmp_path / kernel).symlink_to("/boot/of-the-tree")
    assert may_have_kernel(tmp_path)
