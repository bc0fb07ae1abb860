"""What the tests of the cache share."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.cache.store import record as records
from bootsmith.cache.store.record import Record
from bootsmith.cache.store.store import Store

from tests.support.four_results import DAY, KEYS, OWN, SHARED, make, outputs
from tests.support.stored_files import CONTENT, DIGEST, OUTPUTS, SHA256


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of four results, the oldest first; each has a chunk of its own and one that all share."""
    store = Store(tmp_path / "store")
    for number, key in enumerate(KEYS):
        make(store, key, SHARED + OWN[number], age=(10 - number) * DAY)
    store.lease.release()
    return tmp_path / "store"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build directory whose current record is that of the oldest result."""
    build = tmp_path / "project/build/toy"
    record = Record("rootfs", KEYS[0], {}, outputs(SHARED + OWN[0]))
    records.write(build / ".bootsmith/records/rootfs.json", record)
    return build
