"""How things were when a stage made the output that it is to patch: what its inputs and its other outputs held.

Code of no stage. What is told is certain: by the record, and by digests that what is read has to have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bootsmith.cache.digest.index import index_of_bytes

if TYPE_CHECKING:
    from bootsmith.cache.store.record import Record
    from bootsmith.tasks.build.look import Look
    from bootsmith.tasks.build.stage import Folders, Stage


class Earlier:
    """What is known by the `record` of the very same stage; `look` is one at what its inputs hold now.

    `stored` returns a blob's content, `kept` what was kept as evidence, both by digest; None where it is not there.
    """

    def __init__(
        self,
        record: Record,
        stage: Stage,
        look: Look,
        stored: Callable[[str], bytes | None],
        kept: Callable[[str | None], Any],
    ) -> None:
        self._record = record
        self._stage = stage
        self._look = look
        self._stored = stored
        self._kept = kept

    def stays(self, role: str) -> bool:
        """Tell whether an input holds what it held."""
        digest = self._record.parts["inputs"].get(role)
        return digest is not None and digest == self._look.parts["inputs"].get(role)

    def input(self, role: str) -> bytes | None:
        """Return what an input file held; None where the store has it no more."""
        digest = self._record.parts["inputs"].get(role)
        return self._stored(digest) if digest else None

    def output(self, role: str) -> bytes | None:
        """Return what another output held; None where it does not any more."""
        try:
            content = self._stage.outputs[role].read_bytes()
        except OSError:
            return None
        return content if index_of_bytes(content).digest == self._record.outputs[role]["hash"] else None

    def folders(self, role: str) -> Folders | None:
        """Return the digests of an input tree's folders as they were and as they are; None where that is not known."""
        from bootsmith.tasks.build.stage import Folders

        look = self._look.trees.get(role)
        before = self._kept(self._record.details.get("folders", {}).get(role))
        return None if before is None or look is None else Folders(before, look.folders())
