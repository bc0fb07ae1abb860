"""Digests of secrets, so that they can enter keys and nobody can guess them from there."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import temporary
from bootsmith.cache.files.lock import FileLock

SIZE = 32


def digest(store_root: Path, data: bytes) -> str:
    """Return the HMAC-SHA-256 of a secret under the store's own key: 64 hex digits. Raises CacheError."""
    return hmac.digest(_key(store_root), data, "sha256").hex()


def _key(root: Path) -> bytes:
    """Return the store's key, made at the first call. A lost one costs rebuilding what holds secrets."""
    path = root / "secret.key"
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise CacheError(
            f"{path} cannot be read or made: {error.strerror}",
            "Let BOOTSMITH_CACHE name a directory you may read and write.",
        ) from error


def _read(path: Path) -> bytes | None:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == SIZE else None


def _make(path: Path) -> bytes:
    with FileLock(path.with_name("secret.lock")):
        made = _read(path)  # by another process, meanwhile
        if made is None:
            made = os.urandom(SIZE)
            temporary.write(path, made, mode=0o600)
    return made
