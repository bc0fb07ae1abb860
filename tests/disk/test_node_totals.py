"""What foreign files hold together is bounded, however few bytes they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.disk import node_totals
from bootsmith.tasks.errors import StageError

from tests.disk.btrfs import test_files as btrfs
from tests.disk.btrfs.test_filesystem import make as make_btrfs
from tests.disk.btrfs.test_filesystem import walked as walked_btrfs
from tests.disk.xfs import test_files as xfs

READERS: dict[str, Any] = {
    "btrfs": (make_btrfs, btrfs.opened, walked_btrfs),
    "xfs": (xfs.make, xfs.opened, xfs.walked),
}


@pytest.mark.parametrize("limit", ["MOST_DATA", "MOST_ATTRIBUTES"])
@pytest.mark.parametrize("kind", READERS)
def test_more_than_any_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: str) -> None:
    """Before it is kept."""
    make, opened, walked = READERS[kind]
    image = make(tmp_path)
    monkeypatch.setattr(node_totals, limit, 3)
    with opened(image) as files, pytest.raises(StageError, match=r"any (do|have)"):
        [files.windows(node) for node in walked(files, b"", files.root).values()]
