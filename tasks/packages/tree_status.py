"""What of a tree decides which packages go on top of it, as the stage that reads the tree wrote it down."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TreeStatus:
    """`distribution` and `suite` as os-release has them, "" where it does not; `arch` is that of the tree's dpkg.

    `packages` are the records of what is installed, by name, of the fields that apt chooses by. `refusal` says why
    nothing can be installed on top, "" where it can.
    """

    distribution: str
    suite: str
    arch: str
    kernel: bool
    packages: dict[str, str]
    refusal: str = ""


def write(path: Path, status: TreeStatus) -> None:
    """Write a status down, the same to the same bytes."""
    path.write_text(json.dumps(asdict(status), indent=1, sort_keys=True) + "\n")


def read(path: Path) -> TreeStatus:
    """Return what `write` wrote."""
    return TreeStatus(**json.loads(path.read_bytes()))


def digest(status: TreeStatus, *, kernel: bool) -> str:
    """Return the digest of all of a tree that packages on top of it depend on.

    Whether it has a kernel is part of that only where a `kernel` would be added to one that has none.
    """
    facts = asdict(status)
    if not kernel:
        facts.pop("kernel")
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
