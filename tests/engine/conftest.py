"""What the tests of the engine share: toy stages, built or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import ALL, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A toy project, nothing built."""
    return Project.make(tmp_path)


@pytest.fixture
def built(project: Project) -> Project:
    """A toy project, built."""
    assert project.image() == ALL
    return project
