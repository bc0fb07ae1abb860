"""cache/digest/secret_digest.py: a secret's digest tells whether it changed, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from bootsmith.cache.digest import secret_digest
from bootsmith.cache.errors import CacheError

from tests.support import other_process

DIGEST = """
import sys
from pathlib import Path
from bootsmith.cache.digest import secret_digest as secret
print("ready", flush=True)
sys.stdin.read()
print(secret.digest(Path(sys.argv[1]), b"password"))
"""


def test_a_store_gives_a_secret_one_digest(tmp_path: Path) -> None:
    """The same secret agrees with itself, another does not."""
    first = secret_digest.digest(tmp_path, b"password")
    assert secret_digest.digest(tmp_path, b"password") == first
    assert secret_digest.digest(tmp_path, b"passwore") != first
    assert len(first) == 64


def test_another_store_gives_another_digest(tmp_path: Path) -> None:
    """Without the store's key nobody can try passwords against a digest."""
    one = secret_digest.digest(tmp_path / "one", b"password")
    assert one != secret_digest.digest(tmp_path / "two", b"password")
    assert one != hashlib.sha256(b"password").hexdigest()


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Nobody else can read the key, and the digest is not in it."""
    secret_digest.digest(tmp_path / "store", b"password")
    key = tmp_path / "store/secret.key"
    assert key.stat().st_mode & 0o7777 == 0o600
    assert key.stat().st_size == secret_digest.SIZE


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """The key is made once, whoever comes first."""
    peers = [other_process.start(DIGEST, tmp_path / "store") for _ in range(4)]
    for process in peers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    found = {other_process.finish(process) for process in peers}
    assert found == {secret_digest.digest(tmp_path / "store", b"password") + "\n"}


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_key_is_made_anew(tmp_path: Path, content: bytes) -> None:
    """A key of the wrong length would be guessable: the digests change instead."""
    before = secret_digest.digest(tmp_path, b"password")
    (tmp_path / "secret.key").write_bytes(content)
    assert secret_digest.digest(tmp_path, b"password") != before
    assert (tmp_path / "secret.key").stat().st_size == secret_digest.SIZE


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Without a key there is no digest, and the error says where it would have been."""
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="secret"):
        secret_digest.digest(tmp_path / "file", b"password")
