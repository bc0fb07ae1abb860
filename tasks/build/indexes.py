"""What a stage's files hold, chunk by chunk, without reading them: so a patch need not compare, nor hash, what stays.

Code of no stage: an index is looked for by its own digest, which is the file's fingerprint, so none can be a wrong one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bootsmith.cache.digest.index import CHUNK, Index, index_of, recall, remember

if TYPE_CHECKING:
    from bootsmith.cache.store.store import Store
    from bootsmith.tasks.build.earlier import Earlier

KEPT: Final = 64
"""Indexes that are kept of a build directory's files, the last used: some ten a recipe are of use."""
NONE: Final[Mapping[str, Index]] = MappingProxyType({})


class KeptIndexes:
    """The indexes of files that builds made, in a folder, each named by its digest. Any may be lost at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, digest: str) -> Index | None:
        """Return the index with this digest; None where it is not known, or what is kept is damaged."""
        found = recall(digest)
        if found is not None:
            return found
        path = self._folder / digest
        try:
            index = Index(path.read_bytes())
            if index.digest != digest or not index.is_sound():
                path.unlink()
                return None
            os.utime(path)
        except OSError:
            return None
        remember(index, digest)
        return index

    def keep(self, digest: str, store: Store | None = None) -> None:
        """Keep the index with this digest, of a file just made, or fetched from a store."""
        path = self._folder / digest
        index = recall(digest) or (store.index(digest) if store else None)
        if index is None or index.size <= CHUNK or path.exists():
            return
        with suppress(OSError):  # no room: the file is read next time
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(index.content)
            kept = sorted(os.scandir(self._folder), key=lambda each: each.stat().st_mtime_ns)
            for each in kept[:-KEPT]:
                Path(each).unlink()


class Indexes:
    """Those of one run of a stage: of its `inputs`, of the `previous` output that it may patch.

    `digests` are fingerprints of inputs by role, `present` is that of `previous`, as far as they are known. `before`
    has what inputs held of which `previous` was made by the very same stage, and `earlier` knows more of that.
    """

    def __init__(
        self,
        inputs: Mapping[str, Path],
        previous: Path | None,
        *,
        digests: Mapping[str, str] = MappingProxyType({}),
        present: str | None = None,
        before: Mapping[str, Index] = NONE,
        earlier: Earlier | None = None,
        kept: KeptIndexes | None = None,
    ) -> None:
        self.before = before
        self.earlier = earlier
        self.claimed: dict[str, Index] = {}
        """By role, what the run says that it made of outputs."""
        self.used: dict[str, str] = {}
        """The fingerprints of inputs that the run asked for, by role."""
        self._inputs = inputs
        self._previous = previous
        self._digests = digests
        self._present = present
        self._kept = kept

    def of_input(self, role: str) -> Index:
        """Return what an input file holds."""
        digest = self._digests.get(role)
        if digest is not None:
            self.used[role] = digest
        return self._of(self._inputs[role], digest)

    def of_previous(self) -> Index:
        """Return what the previous output holds. There must be one."""
        assert self._previous is not None, "asked of an output that is not there"
        return self._of(self._previous, self._present)

    def _of(self, path: Path, digest: str | None) -> Index:
        found = self._kept.find(digest) if self._kept and digest is not None else None
        if found is None:
            with path.open("rb") as file:
                found = index_of(file.fileno())
            if self._kept and digest is not None and found.digest == digest:
                remember(found, digest)
                self._kept.keep(digest)
        return found
