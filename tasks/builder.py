"""What decides whether a stage is fresh, and what makes it so: restores or builds it, record last.

Knows nothing of doit. The order of events is what soundness rests on: the record goes first, outputs are made under a
temporary name on the same file system, inputs are fingerprinted again, outputs are renamed, the record is written last.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bootsmith.cache import key as keys
from bootsmith.cache import record as records
from bootsmith.cache.fingerprint import fingerprint, note
from bootsmith.cache.temporary import sweep
from bootsmith.tasks.errors import BootsmithError, InputMissing, StageError
from bootsmith.tasks.ledger import Ledger
from bootsmith.tasks.plan import Plan
from bootsmith.tasks.stage import Stage

if TYPE_CHECKING:
    from bootsmith.cache.record import Record

State = Literal["fresh", "restored", "built"]
REFUSED = (errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE)
ATTEMPTS = 3  # at a stage whose inputs are edited while it runs


@dataclass(frozen=True)
class Status:
    """Whether a stage's outputs are those its present inputs call for, and if not, why."""

    fresh: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What was done for a stage; `size` is the bytes its outputs occupy on disk."""

    state: State
    seconds: float
    size: int


class Builder:
    """Makes the stages of one plan fresh, below one build directory."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self.plan = plan
        self.ledger = ledger
        self.state = plan.site.build / ".bootsmith"
        self._known: dict[str, Status] = {}
        self._old: dict[str, Record] = {}  # verified, but recorded before the host last started
        self._guard = threading.RLock()

    # -- what is so

    def status(self, stage: Stage) -> Status:
        """Tell whether a stage is fresh, changing nothing. Answers are kept until the stage is touched."""
        with self._guard:
            known = self._known.get(stage.name)
            if known is None:
                known = self._known[stage.name] = self._status(stage)
            return known

    def _status(self, stage: Stage) -> Status:
        waiting = [other.name for other in self.plan.producers(stage) if not self.status(other).fresh]
        if waiting:
            return Status(False, tuple(f"depends on {name}, which is not fresh" for name in waiting))
        if self._forgotten(stage).exists():
            return Status(False, ("forgotten: to be built again",))
        record = records.read(self._record(stage))
        if record is None:
            return Status(False, ("no record of it here",))
        try:
            parts = self.parts(stage)
        except BootsmithError as error:
            return Status(False, (str(error),))
        if keys.key(parts) != record.key:
            return Status(False, tuple(keys.diff(record.parts, parts)) or ("its key changed",))
        problems = self._damage(stage, record)
        return Status(not problems, tuple(problems))

    def _damage(self, stage: Stage, record: Record) -> list[str]:
        """Return what is wrong with the outputs on disk, compared with their record."""
        memo = self.ledger.memo if record.boot_id == records.boot_id() else None
        problems = []
        for role, path in stage.outputs.items():
            wanted = record.outputs.get(role)
            try:
                present = fingerprint(path, memo)
            except FileNotFoundError:
                problems.append(f"output {role} is missing: {path}")
                continue
            if wanted is None or present != wanted["hash"]:
                problems.append(f"output {role} was changed by somebody else: {path}")
        if memo is None and not problems:
            self._old[stage.name] = record
        return problems

    def parts(self, stage: Stage, *, reread: bool = False) -> dict[str, Any]:
        """Return the named parts of a stage's present key; `reread` looks at code again too.

        Raises InputMissing, ToolMissing, StageError.
        """
        return {
            "name": stage.name,
            "code": self.ledger.code(stage, reread=reread),
            "params": stage.params,
            "inputs": {role: self._input(stage, role, path) for role, path in stage.inputs.items()},
            "tools": {name: self.ledger.tool(name) for name in stage.tools},
            "secrets": {role: self._secret(stage, role) for role in stage.secrets},
            "outputs": sorted(stage.outputs),
        }

    def _input(self, stage: Stage, role: str, path: Path) -> str:
        try:
            return fingerprint(path, self.ledger.memo)
        except FileNotFoundError:
            raise InputMissing(f"{stage.name}: input {role} does not exist: {path}", self._remedy(path)) from None
        except OSError as error:
            raise InputMissing(f"{stage.name}: input {role} cannot be read: {path}: {error.strerror}") from error

    def _remedy(self, path: Path) -> str:
        maker = next((each for each in self.plan.stages if path in each.outputs.values()), None)
        if maker:
            return f"Stage {maker.name} makes it: run `doit {maker.name}`."
        return "Create it, or name another in the recipe."

    def _secret(self, stage: Stage, role: str) -> str:
        from bootsmith.cache import secret
        from bootsmith.tasks.context import read_secret

        text = read_secret(stage.secrets[role], f"{stage.name}: the secret for {role}")
        return secret.digest(self.ledger.root, text)

    # -- making it so

    def ensure(self, stage: Stage, *, force: bool = False, say: Callable[[str], None] = lambda _: None) -> Outcome:
        """Make a stage fresh and return how. Its producers must be fresh.

        `force` builds even what is fresh or could be restored. Raises StageError and its kin.
        """
        started = time.monotonic()
        with self._guard:
            self._known.pop(stage.name, None)
        stale = [other.name for other in self.plan.producers(stage) if not self.status(other).fresh]
        if stale:
            raise StageError(
                f"{stage.name} depends on {', '.join(stale)}, which {'is' if len(stale) == 1 else 'are'} not fresh",
                "Run it together with what it depends on: without -s.",
            )
        force = force or self._forgotten(stage).exists()
        if not force and self.status(stage).fresh:
            return Outcome("fresh", time.monotonic() - started, self.occupied(stage))
        state: State = "built"
        with self._workshop(stage) as shop:
            records.remove(self._record(stage))
            if not force and stage.stored and self._restore(stage, shop):
                state = "restored"
            else:
                self._build(stage, shop, say)
        with self._guard:
            self._known[stage.name] = Status(True)
        return Outcome(state, time.monotonic() - started, self.occupied(stage))

    def _restore(self, stage: Stage, shop: Path) -> bool:
        parts = self.parts(stage)
        key = keys.key(parts)
        result = self.ledger.store.result(key)
        if result is None or set(result) != set(stage.outputs):
            return False
        made = {role: shop / path.name for role, path in stage.outputs.items()}
        if not all(self.ledger.store.fetch(result[role]["hash"], made[role]) for role in made):
            return False
        self._finish(stage, made, records.Record(stage.name, key, parts, result, how="restored", built=time.time()))
        return True

    def _build(self, stage: Stage, shop: Path, say: Callable[[str], None]) -> None:
        for attempt in range(ATTEMPTS):
            before = self.parts(stage)
            made, record = self._attempt(stage, shop / str(attempt), before, say)
            after = self.parts(stage, reread=True)
            if keys.key(after) == keys.key(before):
                break
            say(f"{'; '.join(keys.diff(before, after))} while it was built: building again")
        else:
            raise StageError(
                f"{stage.name}: its inputs changed during each of {ATTEMPTS} builds",
                "Let whatever writes them finish, then run it again.",
            )
        if stage.stored:
            for role, path in made.items():
                self.ledger.store.put(path, record.outputs[role]["hash"])
            self.ledger.store.put_result(record.key, record.outputs)
        self._forgotten(stage).unlink(missing_ok=True)  # before the record: else a kill between them builds it twice
        self._finish(stage, made, record)

    def _attempt(
        self, stage: Stage, shop: Path, parts: Mapping[str, Any], say: Callable[[str], None]
    ) -> tuple[dict[str, Path], Record]:
        """Run the stage once; return its outputs, still under temporary names, and the record to be."""
        previous = self._previous(stage, shop)
        try:
            return self._run(stage, shop, parts, say, previous)
        except (BootsmithError, OSError):
            if previous is None:
                raise
            shutil.rmtree(shop)
            return self._run(stage, shop, parts, say, None)  # a patch that failed is made anew

    def _run(
        self, stage: Stage, shop: Path, parts: Mapping[str, Any], say: Callable[[str], None], previous: Path | None
    ) -> tuple[dict[str, Path], Record]:
        from bootsmith.tasks.context import StageContext

        made = {role: shop / path.name for role, path in stage.outputs.items()}
        work = shop / "work"
        work.mkdir(parents=True, exist_ok=True)
        log = self.log(stage)
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with log.open("wb") as sink:
            context = StageContext(stage, made, work, previous, sink, say)
            function = self.ledger.load(stage.run)
            try:
                function(context)
            except OSError as error:
                raise self._room(stage, error) from error
        for role, path in made.items():
            if not path.is_file() or path.is_symlink():
                raise AssertionError(f"{stage.name} did not make its output {role}")
            path.chmod(0o644)
        outputs = {
            role: {"file": path.name, "hash": fingerprint(path, self.ledger.memo), "size": path.stat().st_size}
            for role, path in made.items()
        }
        return made, records.Record(
            stage.name,
            keys.key(parts),
            parts,
            outputs,
            seconds=time.monotonic() - started,
            cpu=context.usage.cpu,
            peak=context.usage.peak,
            built=time.time(),
            how="built",
            log=log.name,
        )

    def _previous(self, stage: Stage, shop: Path) -> Path | None:
        """Take the previous output of a stage that patches, unless somebody (a running QEMU) holds it."""
        if stage.carry is None:
            return None
        from bootsmith.cache.lock import Lock

        path = stage.outputs[stage.carry]
        if path.is_symlink() or not path.is_file():
            return None
        lock = Lock(path, create=False)
        if not lock.try_acquire():
            return None
        try:
            shop.mkdir(parents=True, exist_ok=True)
            return path.rename(shop / "previous")
        finally:
            lock.release()

    def _finish(self, stage: Stage, made: Mapping[str, Path], record: Record) -> None:
        for role, path in made.items():
            final = stage.outputs[role]
            self._guard_target(stage, final)
            final.parent.mkdir(parents=True, exist_ok=True)
            path.replace(final)
            note(final, record.outputs[role]["hash"], self.ledger.memo)
        records.write(self._record(stage), record)

    @staticmethod
    def _guard_target(stage: Stage, final: Path) -> None:
        if final.is_symlink() or (final.exists() and not final.is_file()):
            raise StageError(
                f"{stage.name}: {final} is in the way: not a regular file",
                "Move it away; bootsmith replaces only regular files.",
            )

    @contextmanager
    def _workshop(self, stage: Stage) -> Iterator[Path]:
        """Hold a temporary directory on the build directory's file system, gone afterwards whatever happens."""
        for final in stage.outputs.values():
            self._guard_target(stage, final)
        shop = self.state / "tmp" / _flat(stage.name)
        _remove_tree(shop)
        try:
            shop.mkdir(parents=True)
            yield shop
        except OSError as error:
            raise self._room(stage, error) from error
        finally:
            _remove_tree(shop)

    def _room(self, stage: Stage, error: OSError) -> BootsmithError | OSError:
        """Turn a full disk and its like into words for the user; other errors stay what they are."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(self.plan.site.build).free
            return StageError(
                f"{stage.name}: no space left for {error.filename or self.state}: {free >> 20} MiB free",
                "Free some, or point BOOTSMITH_CACHE at a larger disk; nothing finished is lost.",
            )
        if error.errno in REFUSED:
            return StageError(f"{stage.name}: {error.filename or self.state}: {error.strerror}")
        return error

    # -- forgetting and cleaning

    def forget(self, stage: Stage) -> None:
        """Let the next run build the stage, not restore it."""
        marker = self._forgotten(stage)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        with self._guard:
            self._known.clear()

    def clean(self, stage: Stage, *, dry_run: bool = False) -> list[Path]:
        """Remove a stage's outputs and its record (the store keeps its copy); return the files there were."""
        present = [path for path in stage.outputs.values() if path.is_file() or path.is_symlink()]
        if not dry_run:
            records.remove(self._record(stage))
            for path in present:
                path.unlink()
                _prune(path.parent, self.plan.site.build)
            with self._guard:
                self._known.clear()
        return present

    def open(self) -> None:
        """Begin a run: clear away what killed runs left, and forget what was seen before the lock was held."""
        sweep(self.state / "records")
        _remove_tree(self.state / "tmp")
        with self._guard:
            self._known.clear()

    def close(self) -> None:
        """End a run: what was verified after a restart of the host need not be verified again."""
        for name, record in self._old.items():
            if self._known.get(name) == Status(True):
                current = replace(record, boot_id=records.boot_id())
                records.write(self.state / "records" / f"{_flat(name)}.json", current)
        self._old.clear()

    # -- where things are

    def log(self, stage: Stage) -> Path:
        """Return the file holding everything the stage's programs printed last time."""
        return self.plan.site.build / "log" / f"{_flat(stage.name)}.log"

    def occupied(self, stage: Stage) -> int:
        """Bytes a stage's outputs occupy on disk."""
        return sum(path.stat().st_blocks * 512 for path in stage.outputs.values())

    def _record(self, stage: Stage) -> Path:
        return self.state / "records" / f"{_flat(stage.name)}.json"

    def _forgotten(self, stage: Stage) -> Path:
        return self.state / "forgotten" / _flat(stage.name)


def _flat(name: str) -> str:
    """Return a stage's name as a file name; `/` separates, and no stage's name holds a `+`."""
    return name.replace("/", "+")


def _remove_tree(path: Path) -> None:
    """Remove a tree, if it is there: even where its directories forbid it, or a killed sandbox's ids own it."""
    if not path.is_dir():
        return
    try:
        shutil.rmtree(path, onerror=_open_up)
    except PermissionError:
        from bootsmith.tasks.tools import host, process

        process.run([host.find("rm"), "-rf", "--", path], env={"PATH": host.PATH}, cwd=path.parent, root=True)


def _open_up(function: Callable[[str], object], name: str, _error: object) -> None:
    path = Path(name)
    path.parent.chmod(0o700)
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)
    function(name)


def _prune(folder: Path, top: Path) -> None:
    """Remove empty folders from `folder` up to, not including, `top`."""
    while folder != top and top in folder.parents and not any(os.scandir(folder)):
        folder.rmdir()
        folder = folder.parent
