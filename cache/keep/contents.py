"""What is in a store: every thing that can be removed by itself, what it occupies, and what it names."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from bootsmith.cache.digest.index import Index
from bootsmith.cache.files import sealed
from bootsmith.cache.files.temporary import PREFIX
from bootsmith.cache.files.walk import Entry, walk
from bootsmith.cache.store import result as results
from bootsmith.cache.store.blobs import Blobs, unique
from bootsmith.cache.store.objects import PACKED, Damaged

BY_DIGEST = {"results": "results", "indexes": "blobs", "chunks": "chunks", "sha256": "sha256"}  # folder: kind
BY_FILE = {
    "history": "history", "verdicts": "verdicts", "plans": "plans", "memo.trees": "trees", "quarantine": "quarantine",
    "blobs": "old",
}  # fmt: skip
BY_FOLDER = ("apt",)
DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
HISTORY = "history 1"  # the form in which the programs above keep past builds


@dataclass(slots=True)
class Item:
    """One thing, under the name that leases call it by: "results/KEY", "blobs/DIGEST", "chunks/DIGEST", ...

    `size` is what it occupies on disk, in bytes; `used` when that was last, in seconds since 1970. `paths` are one, or
    two where a chunk was stored both plain and packed.
    """

    name: str
    paths: tuple[str, ...]
    size: int
    used: float

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


class Output(NamedTuple):
    """What a result says of one output."""

    role: str
    digest: str
    size: int


@dataclass
class Contents:
    """The things in the store below `root`, as they were found; whoever writes meanwhile may be seen or not."""

    root: Path
    items: dict[str, Item] = field(default_factory=dict)
    drafts: list[str] = field(default_factory=list)
    """Files under a passing name, somebody's or nobody's."""
    rest: int = 0
    """Bytes on disk of what is small, and nobody's to remove."""

    def __post_init__(self) -> None:
        self._blobs = Blobs(self.root, lambda _: None)
        self._indexes: dict[str, Index] = {}

    @property
    def size(self) -> int:
        """Bytes that all of the store occupies on disk; blocks that files share are counted for each."""
        return self.rest + sum(item.size for item in self.items.values())

    def of(self, kind: str) -> list[Item]:
        """Return the things of one kind."""
        return [item for item in self.items.values() if item.kind == kind]

    def counts(self) -> Counter[str]:
        """Return how many things of each kind there are."""
        return Counter(item.kind for item in self.items.values())

    def closure(self, names: Iterable[str]) -> set[str]:
        """Return these names and those of all that they need."""
        found: set[str] = set()
        rest = list(names)
        while rest:
            name = rest.pop()
            if name not in found:
                found.add(name)
                rest += self.named(name)
        return found

    def outputs(self, result: str) -> tuple[Output, ...] | None:
        """Return what a result, "results/KEY", gave; None where that cannot be read."""
        found = results.read(self.root, result.partition("/")[2])
        if found is None:
            return None
        return tuple(Output(role, given["hash"], given["size"]) for role, given in found.items())

    def index(self, blob: str) -> Index | None:
        """Return the index of a blob, "blobs/DIGEST"; None where that is missing or damaged. Kept once it was read."""
        if blob not in self._indexes:
            with suppress(Damaged):
                index = self._blobs.index(blob.partition("/")[2])
                if index is not None:
                    self._indexes[blob] = index
        return self._indexes.get(blob)

    def named(self, name: str) -> list[str]:
        """Return the names of what a thing needs: of a result its blobs, of a blob its chunks."""
        if name.startswith("results/"):
            return list(dict.fromkeys(f"blobs/{output.digest}" for output in self.outputs(name) or ()))
        if name.startswith("blobs/"):
            index = self.index(name)
            return [] if index is None else [f"chunks/{chunk.digest.hex()}" for chunk in unique(index)]
        return []

    def results_of(self, build: str) -> list[str]:
        """Return the names of the results that a past build, "history/...", is made of; none, where nobody can tell."""
        body = sealed.read(Path(self.items[build].paths[0]), HISTORY)
        if body is None:
            return []
        stages = json.loads(body)["stages"].values()
        return list(dict.fromkeys(f"results/{stage['key']}" for stage in stages if stage["stored"]))

    def is_whole(self, name: str) -> bool:
        """Tell whether all that a result or a blob needs is there; whether it is undamaged only reading it can tell."""
        if name.startswith("results/"):
            outputs = self.outputs(name)
            return outputs is not None and all(self.is_whole(f"blobs/{output.digest}") for output in outputs)
        if name.startswith("blobs/"):
            return self.index(name) is not None and all(chunk in self.items for chunk in self.named(name))
        return name in self.items


def scan(root: Path) -> Contents:
    """Return what is in the store below `root`; nothing, where there is no store. Raises OSError."""
    found = Contents(root)
    seen: set[tuple[int, int]] = set()
    folders: dict[str, list[Entry]] = {}
    for entry in walk(root, absent=(FileNotFoundError,)):
        kind, _, rest = os.fsdecode(entry.inside).partition("/")
        if kind not in BY_FOLDER:
            if not entry.is_directory:
                _sort(found, kind, entry, seen)
        elif rest:
            files = folders.setdefault(f"{kind}/{rest.partition('/')[0]}", [])
            if not entry.is_directory:
                files.append(entry)
    for name, files in folders.items():
        _add(found, name, str(root / name), files, seen)
    return found


def _sort(found: Contents, folder: str, file: Entry, seen: set[tuple[int, int]]) -> None:
    """Put one file of a folder at the store's top where it belongs."""
    path, name = os.fsdecode(file.path), os.fsdecode(file.name)
    if name.startswith(PREFIX):
        found.drafts.append(path)
        return
    digest = name.removesuffix(PACKED)
    if folder in BY_DIGEST and DIGEST.fullmatch(digest):
        _add(found, f"{BY_DIGEST[folder]}/{digest}", path, [file], seen)
    elif folder in BY_FILE:
        inside = os.fsdecode(file.inside).partition("/")[2] or "."
        _add(found, f"{BY_FILE[folder]}/{inside}", path, [file], seen)
    else:
        found.rest += _occupied(file, seen)


def _add(found: Contents, name: str, path: str, files: list[Entry], seen: set[tuple[int, int]]) -> None:
    """Note one thing, of these files."""
    size = sum(_occupied(file, seen) for file in files)
    used = max((file.status.st_mtime for file in files), default=0.0)
    other = found.items.get(name)
    if other:
        found.items[name] = Item(name, (*other.paths, path), other.size + size, max(other.used, used))
    else:
        found.items[name] = Item(name, (path,), size, used)


def _occupied(file: Entry, seen: set[tuple[int, int]]) -> int:
    """Return the bytes a file occupies on disk, unless another name of it was counted before."""
    if file.status.st_nlink > 1:
        inode = file.status.st_dev, file.status.st_ino
        if inode in seen:
            return 0
        seen.add(inode)
    return file.status.st_blocks * 512
