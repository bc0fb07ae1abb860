"""What the tests of a build's freshness share with those of the engine: toy stages, built or not."""

from __future__ import annotations

from tests.command.engine.conftest import built, project

__all__ = ["built", "project"]
