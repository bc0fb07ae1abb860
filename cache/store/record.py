"""What a stage left behind: its key, what that was made of, its outputs and what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from bootsmith.cache.errors import CacheError
from bootsmith.cache.files import clock, sealed
from bootsmith.cache.files.clock import boot_id

__all__ = ["Record", "boot_id", "read", "remove", "write"]

KIND = "record 2"


class Record(NamedTuple):
    """One stage's record.

    `parts` is what `key` is the key of. `outputs` maps a role to its "file" (name), "hash" (fingerprint) and "size".
    `details` names blobs that tell more of some parts than the key needs: {"code": digest, "inputs": {role: digest},
    "folders": {role: digest}}; each may be missing. `downloads` are the SHA-256 of what was fetched to build it.
    `seconds`, `cpu` (seconds) and `peak` (bytes of memory) are the stage's own and its programs'; `space` is what the
    build directory's file system had to hold for it, `kept` what the store grew by, in bytes: of a restored stage, when
    it was last built here.
    `built` is in seconds since 1970. Where `boot_id` is not this boot's, the outputs must be read again, without a
    memo.
    """

    stage: str
    key: str
    parts: Mapping[str, Any]
    outputs: Mapping[str, Mapping[str, Any]]
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    space: int = 0
    kept: int = 0
    details: Mapping[str, Any] = MappingProxyType({})
    downloads: tuple[str, ...] = ()
    built: float = 0.0
    how: Literal["built", "restored"] = "built"
    log: str = ""
    boot_id: str = clock.boot_id()


def write(path: Path, record: Record) -> None:
    """Write a record, atomically, making its directory where needed. Raises CacheError."""
    body = json.dumps(record._asdict(), default=_plain)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sealed.write(path, KIND, body.encode())
    except OSError as error:
        raise CacheError(
            f"{path} cannot be written: {error.strerror}", "Make room there, or let it be written, and run again."
        ) from error


def read(path: Path) -> Record | None:
    """Return the record, or None where it is missing, damaged or of another version."""
    body = sealed.read(path, KIND)
    if body is None:
        return None
    try:
        found = json.loads(body)
        return Record(**{**found, "downloads": tuple(found.get("downloads", ()))})
    except (ValueError, TypeError, AttributeError):  # whole, but written by other code under the same version
        return None


def remove(path: Path) -> None:
    """Remove a record, if there is one. Raises CacheError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(f"{path} cannot be removed: {error.strerror}") from error


def _plain(value: object) -> object:
    """Return what JSON knows in place of a mapping that is no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a record cannot hold {type(value).__name__} {value!r}")
