"""A whole disk that the tests of a module share; who changes it takes a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.whole_disk import WholeDisk


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> WholeDisk:
    """A disk with systemd-boot and a declared system."""
    return WholeDisk.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def disk(whole: WholeDisk, tmp_path: Path) -> WholeDisk:
    """A copy of it."""
    return whole.copy(tmp_path)
