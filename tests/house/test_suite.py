"""The tests as a whole: each file of them is run."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from tests.support.checkout import CHECKOUT


def test_no_room_is_passed_over(pytestconfig: pytest.Config) -> None:
    """No folder of tests has a name that pytest leaves out, as it does of itself with `build` and `dist`."""
    folders = {path.parent for path in (CHECKOUT / "tests").rglob("test_*.py")}
    rooms = {part for folder in folders for part in folder.relative_to(CHECKOUT).parts}
    assert {"tests", "build", "system"} <= rooms
    left_out = pytestconfig.getini("norecursedirs")
    assert [room for room in sorted(rooms) if any(fnmatch(room, pattern) for pattern in left_out)] == []
