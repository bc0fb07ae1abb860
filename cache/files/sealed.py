"""Files that are read whole or not at all: one line with a checksum, then the body it covers."""

from __future__ import annotations

from pathlib import Path

from bootsmith.cache.files import temporary
from xxhash import xxh3_128_hexdigest


def write(path: Path, kind: str, body: bytes, *, drafts: Path | None = None) -> None:
    """Write `body` atomically. `kind` is what the file is and the version of its form: "record 1". Raises OSError.

    `drafts` is where it is written first, see `temporary.write`.
    """
    temporary.write(path, _seal(kind, body) + body, drafts=drafts)


def read(path: Path, kind: str) -> bytes | None:
    """Return the body, or None where the file is missing, unreadable, damaged or of another kind or version."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    line, _, body = content.partition(b"\n")
    return body if line + b"\n" == _seal(kind, body) else None


def _seal(kind: str, body: bytes) -> bytes:
    return f"bootsmith {kind} {xxh3_128_hexdigest(body)}\n".encode()
