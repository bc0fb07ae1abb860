"""Ways to damage the files of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def overwrite(path: Path, content: bytes) -> None:
    """Change a stored file, though it is meant never to be."""
    path.chmod(0o644)
    path.write_bytes(content)


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    overwrite(path, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "bit flip": flip,
    "truncation": lambda path: overwrite(path, path.read_bytes()[:-1]),
    "truncation to a block": lambda path: overwrite(path, path.read_bytes()[: path.stat().st_size // 2]),
    "a byte more": lambda path: overwrite(path, path.read_bytes() + b"\0"),
    "zeros after a power cut": lambda path: overwrite(path, bytes(path.stat().st_size)),
}
