"""What the tests of what is built share: toy stages, built or not, as those of the engine have them, and quick ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command.engine.conftest import built, project
from tests.support.quick_stages import QuickStages

__all__ = ["built", "project", "quick"]


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> QuickStages:
    """A source file, and stages to be made of it in this process."""
    return QuickStages(tmp_path, monkeypatch)
