"""cache/store/store.py in several processes at once, and in one that dies."""

from __future__ import annotations

from pathlib import Path

from bootsmith.cache.store.store import Store

from tests.support import other_process
from tests.support.stored_files import CONTENT, DIGEST

PUT_AND_FETCH = """
import sys
from pathlib import Path
from bootsmith.cache.store.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
for number in range(20):
    store.put(Path(sys.argv[2]), sys.argv[3])
    store.put_result("a" * 32, {"image": {"hash": sys.argv[3], "size": 1}})
    assert store.fetch(sys.argv[3], Path(sys.argv[4]))
    assert store.result("a" * 32) is not None
"""
DIE_STORING = """
import os, signal, sys
from pathlib import Path
from bootsmith.cache.store import objects
from bootsmith.cache.store.store import Store
def die(descriptor, content):
    os.write(descriptor, bytes(content[:100]))
    os.kill(os.getpid(), signal.SIGKILL)
objects.write_all = die
Store(Path(sys.argv[1])).put(Path(sys.argv[2]), sys.argv[3])
"""


def test_processes_may_use_one_store_at_once(source: Path, tmp_path: Path) -> None:
    """Whoever is first stores, all fetch, and nothing is left over (W9)."""
    peers = [
        other_process.start(PUT_AND_FETCH, tmp_path / "store", source, DIGEST, tmp_path / f"out{n}") for n in range(4)
    ]
    for process in peers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in peers:
        other_process.finish(process)
    for number in range(4):
        assert (tmp_path / f"out{number}").read_bytes() == CONTENT
    assert list((tmp_path / "store/tmp").iterdir()) == []


def test_a_killed_process_leaves_no_blob_and_its_rest_is_swept_away(source: Path, tmp_path: Path) -> None:
    """SIGKILL while storing: the next one stores, and removes what was left (C8, L11)."""
    root = tmp_path / "store"
    process = other_process.start(DIE_STORING, root, source, DIGEST)
    with process:
        process.communicate(timeout=other_process.TIMEOUT)
    assert len(list((root / "tmp").iterdir())) == 1
    store = Store(root)
    assert not store.has(DIGEST)
    store.put(source, DIGEST)
    assert list((root / "tmp").iterdir()) == []
    assert store.fetch(DIGEST, tmp_path / "out")
