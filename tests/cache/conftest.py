"""What the tests of the cache share."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.cache.store import Store
from storehouse import CONTENT, DIGEST, OUTPUTS, SHA256


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to be stored."""
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def store(tmp_path: Path, source: Path) -> Store:
    """A store that holds `source` as a blob and as a download, and a result that names it."""
    found = Store(tmp_path / "store")
    found.put(source, DIGEST)
    found.put_sha256(source, SHA256)
    found.put_result("a" * 32, OUTPUTS)
    return found
