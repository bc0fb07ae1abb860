"""Roots: the build directories that use the store, and what their current records need of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from bootsmith.cache.files import sealed, temporary
from bootsmith.cache.store import location
from bootsmith.cache.store import record as records
from bootsmith.cache.store.record import Record

KIND = "root 1"
STATE = ".bootsmith"
DIGEST = re.compile(r'"([0-9a-f]{32})"')
SHA256 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
PATIENCE = 30 * 86400  # seconds for which a build directory that cannot be looked at counts as it was

State = Literal["here", "away", "gone"]


class Root(NamedTuple):
    """One build directory, as it was when a run that built or restored something ended.

    `lists` are files in which every SHA-256 names a download that the build needs. `keys` are those of its records;
    they count only while the directory is away. `mount` is where its file system is attached. `spare` are the files
    between the first and the last stage, from the directory on, with the stage that each is of: what is not for people.
    `noted` is when, in seconds since 1970.
    """

    build: Path
    mount: Path
    lists: tuple[Path, ...]
    keys: tuple[str, ...]
    noted: float
    spare: Mapping[str, str] = MappingProxyType({})

    def state(self, now: float) -> State:
        """Tell whether the directory is there to be looked at, may come back, or is gone.

        It may come back where its file system is not attached now (a disk, another machine's directory), or nobody lets
        us look. Where the file system is attached and the directory not in it, somebody removed it.
        """
        try:
            os.scandir(self.build / STATE).close()
        except (FileNotFoundError, NotADirectoryError):
            if os.path.ismount(self.mount):
                return "gone"
        except OSError:
            pass
        else:
            return "here"
        return "away" if now - self.noted < PATIENCE else "gone"

    def records(self) -> Iterator[Record]:
        """Yield the current records of a directory that is here."""
        for path in sorted((self.build / STATE / "records").glob("*.json")):
            record = records.read(path)
            if record is not None:
                yield record

    def names(self, state: State) -> set[str]:
        """Return the names of all that the current records need, in the state that the directory is in."""
        if state == "away":
            return {f"results/{key}" for key in self.keys}
        found = {f"sha256/{each}" for each in self._downloads()}
        for record in self.records():
            found.add(f"results/{record.key}")
            found.update(f"blobs/{output['hash']}" for output in record.outputs.values())
            found.update(f"sha256/{each}" for each in record.downloads)
            found.update(f"blobs/{digest}" for digest in DIGEST.findall(json.dumps(record.details)))
        return found

    def _downloads(self) -> Iterator[str]:
        """Yield the SHA-256 of each download that the build needs, as far as its lists can be read."""
        for path in self.lists:
            with suppress(OSError):
                yield from (found.decode() for found in SHA256.findall(path.read_bytes()))


def note(store: Path, build: Path, lists: Iterable[Path], spare: Mapping[str, str] = MappingProxyType({})) -> None:
    """Let the store know of a build directory, and of its present records; one that cannot be written need not."""
    path = location.root(store, build)
    root = Root(build, _mount(build), (), (), 0)
    body = {
        "build": str(build),
        "mount": str(root.mount),
        "lists": [str(each) for each in lists],
        "keys": sorted(record.key for record in root.records()),
        "spare": dict(spare),
    }
    with suppress(OSError):
        path.parent.mkdir(mode=location.PRIVATE, parents=True, exist_ok=True)
        sealed.write(path, KIND, json.dumps(body).encode(), drafts=temporary.drafts(store))


def read(store: Path) -> dict[Path, Root]:
    """Return the roots that are noted, by the file that notes each."""
    found = {}
    for path in sorted((store / location.ROOTS).glob("*.json")):
        body = sealed.read(path, KIND)
        with suppress(FileNotFoundError):
            if body is not None:
                noted = json.loads(body)
                lists = tuple(Path(each) for each in noted["lists"])
                where = Path(noted["build"]), Path(noted["mount"])
                spare = MappingProxyType(dict(noted.get("spare", {})))
                found[path] = Root(*where, lists, tuple(noted["keys"]), path.stat().st_mtime, spare)
    return found


def _mount(build: Path) -> Path:
    return next((each for each in (build, *build.parents) if os.path.ismount(each)), Path("/"))
