"""What the tests of the engine share: toy stages, built or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.toy_project import ALL, ENTRIES, ToyProject


@pytest.fixture(params=ENTRIES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> ToyProject:
    """A toy project, nothing built; whichever way it is run, it is run the same."""
    made = ToyProject.make(tmp_path)
    made.entry = ENTRIES[request.param]
    return made


@pytest.fixture
def built(project: ToyProject) -> ToyProject:
    """A toy project, built."""
    assert project.image() == ALL
    return project
