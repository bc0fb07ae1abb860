"""What the tests of the engine share: toy stages, built or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toy_stages import ALL, ENTRIES, Project


@pytest.fixture(params=ENTRIES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A toy project, nothing built; whichever way it is run, it is run the same."""
    made = Project.make(tmp_path)
    made.entry = ENTRIES[request.param]
    return made


@pytest.fixture
def built(project: Project) -> Project:
    """A toy project, built."""
    assert project.image() == ALL
    return project
