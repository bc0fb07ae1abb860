"""Statistics of a store: how much of what, what keeping it by chunks saves, who needs how much of it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bootsmith.cache.display import ago, count, human
from bootsmith.cache.files.walk import occupied
from bootsmith.cache.keep import roots
from bootsmith.cache.keep.contents import Contents, scan
from bootsmith.cache.keep.limits import Limits
from bootsmith.cache.report.wording import NOUNS
from bootsmith.cache.store import location
from bootsmith.cache.store.blobs import unique
from bootsmith.cache.store.lease import Leased

DAY = 86400


@dataclass(frozen=True, slots=True)
class Kind:
    """How many things of a kind there are, and the bytes they occupy on disk."""

    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Files:
    """The bytes in all stored files, without their zeros, each chunk counted once, and as they lie on disk."""

    whole: int
    filled: int
    unique: int
    stored: int


@dataclass(frozen=True, slots=True)
class User:
    """A build directory, "here", "away" or "gone": when it last ran, and the bytes on disk that it needs, and holds."""

    build: str
    state: str
    noted: float
    size: int
    occupied: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What there is in the store at `root`; `size` is all of it on disk, `rest` what no kind is."""

    root: str
    size: int
    rest: int
    limits: Limits
    oldest: float | None
    kinds: dict[str, Kind]
    files: Files
    builds: list[User]
    leased: int

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return asdict(self) | {"limits": self.limits._asdict()}


def gather(root: Path, bounds: Limits) -> Statistics:
    """Count what is in the store below `root`, changing nothing. Raises OSError."""
    contents = scan(root)
    now = time.time()
    leased = Leased(root, clear=False)
    leased.refresh()
    kinds = {kind: contents.of(kind) for kind in NOUNS}
    units = [item.used for item in contents.items.values() if item.kind not in ("blobs", "chunks")]
    builds = []
    for root_noted in roots.read(root).values():
        state = root_noted.state(now)
        names = contents.closure(root_noted.names(state)) if state != "gone" else set()
        holds = occupied(root_noted.build) if state == "here" else 0
        builds.append(User(str(root_noted.build), state, root_noted.noted, _size(contents, names), holds))
    return Statistics(
        str(root),
        contents.size,
        contents.rest,
        bounds,
        min(units, default=None),
        {kind: Kind(len(items), sum(item.size for item in items)) for kind, items in kinds.items()},
        _files(contents),
        builds,
        _size(contents, contents.closure(leased.names)),
    )


def _size(contents: Contents, names: set[str]) -> int:
    return sum(contents.items[name].size for name in names if name in contents.items)


def _files(contents: Contents) -> Files:
    whole = filled = 0
    sizes: dict[bytes, int] = {}
    for blob in contents.of("blobs"):
        index = contents.index(blob.name)
        if index is not None:
            whole += index.size
            filled += sum(chunk.size for chunk in index.chunks())
            sizes.update({chunk.digest: chunk.size for chunk in unique(index)})
    there = {digest: size for digest, size in sizes.items() if f"chunks/{digest.hex()}" in contents.items}
    stored = sum(contents.items[f"chunks/{digest.hex()}"].size for digest in there)
    return Files(whole, filled, sum(there.values()), stored)


def in_words(found: Statistics) -> str:
    """Return the statistics for people to read."""
    now = time.time()
    size, age = found.limits
    files = found.files
    most = "without limit" if size is None else f"at most {human(size)}"
    lines = [
        f"{found.root}: {human(found.size)} on disk, {most} ({location.SIZE})",
        *(_line(each.size, count(each.count, NOUNS[kind])) for kind, each in found.kinds.items() if each.count),
        *[_line(found.rest, "of notes and locks")] * bool(found.rest),
    ]
    if files.whole:
        saved = (files.whole - files.filled, files.filled - files.unique, max(0, files.unique - files.stored))
        zeros, shared, packed = map(human, saved)
        lines.append(
            _line(files.whole, f"in the files; not stored: {zeros} of zeros, {shared} shared, {packed} packed")
        )
    if found.leased:
        lines.append(_line(found.leased, "in use by running builds"))
    lines += (
        _line(each.size, f"needed by {each.build} ({each.state}, run {ago(now - each.noted)}){_own(each)}")
        for each in found.builds
    )
    if found.oldest is not None:
        bound = "kept however old" if age is None else f"removed after {age / DAY:g} days"
        lines.append(f"the longest unused was used {ago(now - found.oldest)}; {bound} ({location.AGE})")
    return "\n".join(lines)


def _own(user: User) -> str:
    return f", which holds {human(user.occupied)} itself" if user.occupied else ""


def _line(size: int, text: str) -> str:
    return f"{human(size):>12}  {text}"
