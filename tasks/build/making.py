"""One stage in the making: restored from the store, or built, its record last.

The order of events is what soundness rests on: the record goes first, outputs are made under a temporary name on the
same file system, inputs are fingerprinted again, outputs are renamed, the record is written last.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsmith.cache.digest import key as keys
from bootsmith.cache.digest.fingerprint import fingerprint, note
from bootsmith.cache.digest.index import Index, remember
from bootsmith.cache.display import shown
from bootsmith.cache.errors import CacheError, Unwritable
from bootsmith.cache.files.walk import occupied
from bootsmith.cache.store import record as records
from bootsmith.tasks.build import evidence, folders
from bootsmith.tasks.build import workdir as workdirs
from bootsmith.tasks.build.cost import COSTS, Cost
from bootsmith.tasks.build.earlier import Earlier
from bootsmith.tasks.build.freshness import Freshness, flat
from bootsmith.tasks.build.indexes import Indexes, KeptIndexes
from bootsmith.tasks.build.look import Look
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import BootsmithError, StageError

if TYPE_CHECKING:
    from bootsmith.cache.digest.memo import Memo
    from bootsmith.cache.store.record import Record

ATTEMPTS = 3  # at a stage whose inputs are edited while it runs


def log(build: Path, stage: Stage) -> Path:
    """Return the file, below the build directory, of everything that a stage's programs printed last time."""
    return build / "log" / f"{flat(stage.name)}.log"


class _Carried(NamedTuple):
    """The previous output of a stage that patches, taken from its place, and its fingerprint, where that was asked."""

    path: Path
    digest: str | None


class Making:
    """A stage whose record is gone, in an empty `workdir`; `say` is told what happens, as `Context.say`.

    `look` is one at its inputs a moment ago, with which it begins: whatever is written to them since shows in the look
    at its end. `last` is the record there was.

    `notes` is what the user is to know when it is done, such as an edit while the stage ran.
    """

    def __init__(
        self,
        freshness: Freshness,
        stage: Stage,
        workdir: Path,
        say: Callable[[str], None],
        look: Look,
        *,
        last: Record | None = None,
    ) -> None:
        self.notes: list[str] = []
        self._freshness = freshness
        self._identities = freshness.identities
        self._stage = stage
        self._workdir = workdir
        self._say = say
        self._look = look
        self._last = last
        self._indexes = KeptIndexes(freshness.state / "indexes")

    def restore(self, cost: Cost | None) -> bool:
        """Take the outputs from the store, where it has what the key gives; tell whether. `cost` goes to the record."""
        stage, store = self._stage, self._identities.store
        look = self._recent_look()
        parts = look.parts
        key = keys.key(parts)
        result = store.result(key)
        if result is None or set(result) != set(stage.outputs):
            return False
        if not all(store.has(output["hash"]) for output in result.values()):
            return False
        made = {role: self._workdir / path.name for role, path in stage.outputs.items()}
        older = self._previous(self._workdir)
        onto = {stage.carry: older.path if older else None}
        if not all(store.fetch(result[role]["hash"], made[role], onto.get(role)) for role in made):
            return False
        for output in result.values():
            self._indexes.keep(output["hash"], store)
        kept = self._evidence(look)
        record = records.Record(stage.name, key, parts, result, built=time.time(), how="restored", details=kept)
        if cost:  # what it takes to build is worth knowing still
            record = record._replace(**{name: getattr(cost, name) for name in COSTS})
        self._finish(made, record)
        return True

    def build(self) -> None:
        """Run the stage, again where its inputs were written to meanwhile, and store what it gives. Raises StageError.

        Whether they were is asked of their contents and of their stats: what was edited and put back meanwhile holds
        what it held, and may have been read in between. Of folders above them it is asked whether they were moved.
        """
        from bootsmith.cache.files.moves import Moves

        stage = self._stage
        for attempt in range(ATTEMPTS):
            if attempt:
                self._look = Look()
            look, again = self._recent_look(), Look(listed=False)
            before = look.parts
            look.settle(stage, self._freshness.makers.keys())
            with Moves(self._freshness.read_by(stage)) as moves, self._identities.loading(stage):
                made, record = self._attempt(self._workdir / str(attempt), before)
                after = self._freshness.parts(stage, reread=True, look=again)
                moved = [f"{shown(folder)} was moved" for folder in moves.found()]
            changed = keys.diff(before, after) or look.diff(again) or moved
            if not changed:
                break
            self._tell(f"{'; '.join(changed)} while it was built: built again")
        else:
            raise StageError(
                f"{stage.name}: its inputs changed during each of {ATTEMPTS} builds",
                "Let whatever writes them finish, then run it again.",
            )
        record = record._replace(details=self._evidence(look))
        started = time.monotonic()
        kept = self._keep(made, record)
        record = record._replace(kept=record.kept + kept, seconds=record.seconds + time.monotonic() - started)
        self._freshness.forgotten(stage).unlink(missing_ok=True)  # before the record: else a kill between builds twice
        self._finish(made, record)

    def _evidence(self, look: Look) -> dict[str, Any]:
        last = self._last
        same = last is not None and last.parts.get("code") == look.parts["code"]
        code = last.details.get("code") if last is not None and same else None
        return evidence.keep(self._stage, self._identities, look.trees, code)

    def _recent_look(self) -> Look:
        """Return a look at the inputs that is of just now: who had to wait looks again."""
        if not self._look.is_recent():
            self._look = Look()
            self._freshness.parts(self._stage, look=self._look)
        return self._look

    def _keep(self, made: Mapping[str, Path], record: Record) -> int:
        """Store what was made, and return the bytes that took; a store that is only read keeps nothing."""
        store = self._identities.store
        with nullcontext() if self._stage.stored else suppress(CacheError):  # of what is not stored it only tells
            try:
                kept = 0
                if self._stage.stored:
                    kept = sum(store.put(path, record.outputs[role]["hash"]) for role, path in made.items())
                store.put_result(record.key, record.outputs)
            except Unwritable:
                self.notes.append(f"the store {store.root} cannot be written: what is made here is not kept there")
            else:
                return kept
        return 0

    def _tell(self, text: str) -> None:
        self.notes.append(f"{self._stage.name}: {text}")

    def _attempt(self, workdir: Path, parts: Mapping[str, Any]) -> tuple[dict[str, Path], Record]:
        """Run the stage once; return its outputs, still under temporary names, and the record to be."""
        previous = self._previous(workdir, self._identities.memo)
        try:
            return self._run(workdir, parts, previous)
        except (BootsmithError, OSError):
            if previous is None:
                raise
            workdirs.remove_tree(workdir)
            return self._run(workdir, parts, None)  # a patch that failed is made anew

    def _run(self, workdir: Path, parts: Mapping[str, Any], carried: _Carried | None) -> tuple[dict[str, Path], Record]:
        from bootsmith.tasks.build import running

        stage, memo = self._stage, self._identities.memo
        made = {role: workdir / path.name for role, path in stage.outputs.items()}
        work = workdir / "work"
        work.mkdir(parents=True, exist_ok=True)
        file = log(self._freshness.plan.build, stage)
        file.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        indexes = self._known(parts, carried)
        with file.open("wb") as sink:
            context = running.context(
                stage,
                made,
                work,
                lambda: self._identities.store,
                previous=carried.path if carried else None,
                indexes=indexes,
                log=sink,
                say=self._say,
                tell=self._tell,
            )
            try:
                run = self._identities.load(stage)
                with running.uncollected():
                    run(context)
            except (BootsmithError, OSError):
                raise
            except Exception:
                self._identities.refuse_edited(stage)  # else it is a bug of ours
                raise
        for role, path in made.items():
            if path.is_symlink() or not (path.is_dir() if stage.folders else path.is_file()):
                raise AssertionError(f"{stage.name} did not make its output {role}")
            if not stage.folders:
                path.chmod(0o644)
        outputs: dict[str, dict[str, Any]] = {}
        for role, path in made.items():
            size, claimed = path.stat().st_size, indexes.claimed.get(role)
            digest = fingerprint(path, memo) if claimed is None else _accepted(stage, role, size, claimed)
            outputs[role] = {"file": path.name, "hash": digest, "size": size}
            if stage.folders:
                outputs[role] |= {"size": folders.weight(path), "owners": folders.owners(path)}
            self._indexes.keep(digest)
        for digest in indexes.used.values():
            self._indexes.keep(digest)
        return made, records.Record(
            stage.name,
            keys.key(parts),
            parts,
            outputs,
            seconds=time.monotonic() - started,
            cpu=context.runner.usage.cpu,
            peak=context.runner.usage.peak,
            space=occupied(workdir),
            kept=context.supplies.grown,
            downloads=context.supplies.downloads,
            built=time.time(),
            how="built",
            log=file.name,
        )

    def _known(self, parts: Mapping[str, Any], carried: _Carried | None) -> Indexes:
        """Return what is known of the stage's files without reading them."""
        stage, last = self._stage, self._last
        present = carried.digest if carried else None
        made = None
        if last is not None and present and present == last.outputs.get(stage.carry or "", {}).get("hash"):
            old, new = ({**each, "inputs": None} for each in (last.parts, parts))
            if keys.encode(old) == keys.encode(new):
                made = last
        held = made.parts["inputs"] if made else {}
        found = {role: self._indexes.find(digest) for role, digest in held.items()}
        return Indexes(
            stage.inputs,
            carried.path if carried else None,
            digests=parts["inputs"],
            present=present,
            before={role: index for role, index in found.items() if index is not None},
            earlier=self._earlier(made) if made else None,
            kept=self._indexes,
        )

    def _earlier(self, record: Record) -> Earlier:
        identities = self._identities
        return Earlier(record, self._stage, self._look, identities.store.get_bytes, identities.kept)

    def _previous(self, workdir: Path, memo: Memo | None = None) -> _Carried | None:
        """Take the previous output of a stage that patches, unless somebody (a running QEMU) holds it.

        With a `memo`, what it holds is told too: read only where that is not known.
        """
        if self._stage.carry is None:
            return None
        from bootsmith.cache.files.lock import FileLock

        path = self._stage.outputs[self._stage.carry]
        if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
            return None
        lock = FileLock(path, create=False)
        if not lock.try_acquire():
            return None
        try:
            if lock.is_used():
                return None
            workdir.mkdir(parents=True, exist_ok=True)
            digest, before = fingerprint(path, memo) if memo else None, path.stat()
            moved = path.rename(workdir / "previous")
            after = moved.stat()
            if memo and (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                digest = fingerprint(moved)  # written to just then
            return _Carried(moved, digest)
        finally:
            lock.release()

    def _finish(self, made: Mapping[str, Path], record: Record) -> None:
        for role, path in made.items():
            final = self._stage.outputs[role]
            workdirs.guard_target(self._stage.name, final, folder=self._stage.folders)
            final.parent.mkdir(parents=True, exist_ok=True)
            if self._stage.folders:
                folders.put(path, final, self._workdir / "replaced")
                continue
            path.replace(final)
            note(final, record.outputs[role]["hash"], self._identities.memo)
        records.write(self._freshness.record(self._stage), record)


def _accepted(stage: Stage, role: str, size: int, index: Index) -> str:
    """Return the fingerprint of an output of which a stage says what it holds."""
    if index.size != size or not index.is_sound():
        raise AssertionError(f"{stage.name} says that its output {role} has {index.size} bytes, not {size}")
    digest = index.digest
    remember(index, digest)
    return digest
