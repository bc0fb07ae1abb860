"""Which stages of a plan are fresh, and why the others are not: a look that changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsmith.cache.digest import key as keys
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.store import record as records
from bootsmith.tasks.build.identities import Identities
from bootsmith.tasks.build.plan import Plan
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.errors import BootsmithError, InputMissing

if TYPE_CHECKING:
    from bootsmith.cache.digest.tree import TreeLook
    from bootsmith.cache.store.record import Record
    from bootsmith.tasks.build.look import Look
    from bootsmith.tasks.build.reason import Reason

NOTHING: Mapping[Path, str] = {}


class Status(NamedTuple):
    """Whether a stage's outputs are those its inputs call for, and if not, why.

    `key` is None where it cannot be told: what it waits for is not made yet, or `error` says what is missing.
    """

    fresh: bool
    reasons: tuple[Reason, ...] = ()
    key: str | None = None
    record: Record | None = None
    error: BootsmithError | None = None


class Freshness:
    """Knows, of each stage of one plan, the record and the key its inputs give."""

    def __init__(self, plan: Plan, identities: Identities) -> None:
        self.plan = plan
        self.identities = identities
        self.state = plan.build / ".bootsmith"
        self.makers = {path: stage.name for stage in plan.stages for path in stage.outputs.values()}
        self._known: dict[str, Status] = {}
        self._looks: dict[str, Look] = {}  # of stages with folders among their inputs, which take long to look at
        self._old: dict[str, Record] = {}  # verified, but recorded before the host last started
        self._guard = threading.RLock()

    def status(self, stage: Stage) -> Status:
        """Tell how a stage stands as things are. Answers are kept until something is touched."""
        with self._guard:
            known = self._known.get(stage.name)
            if known is None:
                known = self._known[stage.name] = self._status(stage)
            return known

    def _status(self, stage: Stage) -> Status:
        waiting = [other.name for other in self.plan.producers(stage) if not self.status(other).fresh]
        if waiting:
            return self.waiting(waiting)
        if not any(path.is_dir() for path in stage.inputs.values()):
            return self.examine(stage)
        from bootsmith.tasks.build.look import Look

        self._looks[stage.name] = look = Look()
        return self.examine(stage, look=look)

    def look(self, stage: Stage, *, again: bool) -> tuple[Status, Look]:
        """Tell how a stage stands whose producers are fresh, and what was seen: a moment ago, unless `again`."""
        from bootsmith.tasks.build.look import Look

        with self._guard:
            known, look = self._known.get(stage.name), self._looks.pop(stage.name, None)
            if again or known is None or look is None or not look.is_recent():
                look = Look()
                known = self._known[stage.name] = self.examine(stage, look=look)
            return known, look

    @staticmethod
    def waiting(producers: list[str]) -> Status:
        """Return how a stage stands whose producers are yet to be made."""
        from bootsmith.tasks.build.reason import Reason

        return Status(
            False, tuple(Reason("depends", name, f"depends on {name}, which is not fresh") for name in producers)
        )

    def examine(self, stage: Stage, expected: Mapping[Path, str] = NOTHING, *, look: Look | None = None) -> Status:
        """Tell how a stage will stand when the files `expected` hold what is said of them; `look` is as for `parts`."""
        record = records.read(self.record(stage))
        try:
            parts = self.parts(stage, expected, look=look)
        except BootsmithError as error:
            return Status(False, self._because("missing", str(error).partition("\n")[0]), None, record, error)
        key = keys.key(parts)
        if self.forgotten(stage).exists():
            return Status(False, self._because("forgotten", "forgotten: to be built again"), key, record)
        if record is None:
            return Status(False, self._because("record", "no record of it here"), key)
        if key != record.key:
            return Status(False, self._differences(stage, record, parts, look), key, record)
        reasons = self._damage(stage, record)
        return Status(not reasons, reasons, key, record)

    @staticmethod
    def _because(kind: Any, text: str) -> tuple[Reason, ...]:
        from bootsmith.tasks.build.reason import Reason

        return (Reason(kind, "", text, {}, "" if kind == "record" else text),)

    def _differences(
        self, stage: Stage, record: Record, parts: Mapping[str, Any], look: Look | None
    ) -> tuple[Reason, ...]:
        from bootsmith.tasks.build import evidence, reason

        def told(role: str) -> Mapping[str, Any]:
            if role not in stage.inputs:
                return {}
            seen = look.trees.get(role) if look is not None else None
            return evidence.of_input(stage, role, seen.listing() if seen else self._listing(stage.inputs[role]))

        old = reason.Side.kept(record.parts, record.details, self.identities)
        new = reason.Side(parts, told, partial(self.identities.modules, stage))
        return tuple(reason.Comparison(stage, self.makers, self.identities, old, new).reasons())

    def _listing(self, path: Path) -> dict[str, str] | None:
        if not path.is_dir():
            return None
        listing: dict[str, str] = {}
        fingerprint(path, self.identities.memo, listing)
        return listing

    def _damage(self, stage: Stage, record: Record) -> tuple[Reason, ...]:
        """Return what is wrong with the outputs on disk, compared with their record."""
        memo = self.identities.memo if record.boot_id == records.boot_id() else None
        found = []
        for role, path in stage.outputs.items():
            wanted = record.outputs.get(role)
            try:
                present = fingerprint(path, memo)
                if wanted is not None and "owners" in wanted and self._owners(path) != wanted["owners"]:
                    present = ""
            except FileNotFoundError:
                found.append((role, "missing", f"output {role} is missing: {path}"))
                continue
            except OSError as error:  # it is made anew, or what is in its way is named then
                found.append((role, "changed", f"output {role} cannot be read: {path}: {error.strerror}"))
                continue
            if wanted is None or present != wanted["hash"]:
                found.append((role, "changed", f"output {role} was changed by somebody else: {path}"))
        if found:
            from bootsmith.cache.display import shown
            from bootsmith.tasks.build.reason import Reason

            return tuple(
                Reason(
                    "output", role, text, {"change": change, "path": shown(stage.outputs[role])}, text.partition(":")[0]
                )
                for role, change, text in found
            )
        if memo is None:
            self._old[stage.name] = record
        return ()

    @staticmethod
    def _owners(folder: Path) -> str:
        from bootsmith.tasks.build import folders

        return folders.owners(folder)

    # -- the key

    def parts(
        self,
        stage: Stage,
        expected: Mapping[Path, str] = NOTHING,
        *,
        reread: bool = False,
        look: Look | None = None,
    ) -> dict[str, Any]:
        """Return the named parts of a stage's key; `expected` files hold what is said of them, whatever is there.

        `reread` looks at code again too; `look` takes in what is seen, and what it gives. Raises InputMissing,
        ToolMissing, StageError.
        """
        inputs = {}
        for role, path in stage.inputs.items():
            inputs[role] = expected.get(path) or self._input(stage, role, path, look)
        parts = {
            "name": stage.own_name,
            "code": self.identities.code(stage, reread=reread),
            "params": stage.params,
            "inputs": inputs,
            "tools": {name: self.identities.tool(name) for name in stage.tools},
            "secrets": {role: self._secret(stage, role) for role in stage.secrets},
            "outputs": sorted(stage.outputs),
        }
        if look is not None:
            self._look(stage, look)
            look.take(parts)
        return parts

    def _input(self, stage: Stage, role: str, path: Path, look: Look | None) -> str:
        looks: list[TreeLook] = []
        stats = look.stats(f"input {role}") if look is not None else None
        try:
            digest = fingerprint(path, self.identities.memo, None, stats, looks)
        except FileNotFoundError:
            raise InputMissing(f"{stage.name}: input {role} does not exist: {path}", self._remedy(path)) from None
        except OSError as error:
            raise InputMissing(f"{stage.name}: input {role} cannot be read: {path}: {error.strerror}") from error
        if look is not None and look.listed and looks:
            look.trees[role] = looks[0]
        return digest

    def _look(self, stage: Stage, look: Look) -> None:
        """Look at what a stage's code, tools and secrets are read from."""
        look.stats("code").look(self.identities.sources(stage).values())
        for of, files in self._beside(stage).items():
            look.stats(of).look(files)

    def _beside(self, stage: Stage) -> dict[str, Sequence[str | Path]]:
        """Return the files that a stage's tools and secrets are read from, by what they are of."""
        return {
            **{f"tool {name}": self.identities.tool_files(name) for name in stage.tools},
            **{f"secret {role}": [each.file] if each.file else [] for role, each in stage.secrets.items()},
        }

    def read_by(self, stage: Stage) -> list[str | Path]:
        """Return the files and folders that a stage and its tools read. Raises ToolMissing."""
        return [*stage.inputs.values(), *(file for files in self._beside(stage).values() for file in files)]

    def _remedy(self, path: Path) -> str:
        maker = self.makers.get(path)
        if maker:
            return f"Stage {maker} makes it: run `doit {maker}`."
        return "Create it, or name another in the recipe."

    def _secret(self, stage: Stage, role: str) -> str:
        from bootsmith.cache.digest import secret_digest
        from bootsmith.tasks.build.secret import read_secret

        text = read_secret(stage.secrets[role], f"{stage.name}: the secret for {role}")
        return secret_digest.digest(self.identities.root, text)

    # -- what was touched

    def touch(self, stage: Stage | None = None, now: Status | None = None) -> None:
        """Forget how a stage stood, or all of them; `now` is how it stands since."""
        with self._guard:
            if stage is None:
                self._known.clear()
            elif now is None:
                self._known.pop(stage.name, None)
            else:
                self._known[stage.name] = now

    def known(self, stage: Stage) -> bool:
        """Tell whether a stage was found, or made, fresh since the last touch; nothing is looked at."""
        status = self._known.get(stage.name)
        return status is not None and status.fresh

    def confirm(self) -> None:
        """Note of records made before the host last started what was verified since."""
        for name, record in self._old.items():
            stage = self.plan.stage(name)
            if self.known(stage) and records.read(self.record(stage)) == record:
                records.write(self.record(stage), record._replace(boot_id=records.boot_id()))
        self._old.clear()

    # -- where things are

    def record(self, stage: Stage) -> Path:
        return self.state / "records" / f"{flat(stage.name)}.json"

    def forgotten(self, stage: Stage) -> Path:
        """Return the file that says: build it, do not restore it."""
        return self.state / "forgotten" / flat(stage.name)


def flat(name: str) -> str:
    """Return a stage's name as a file name; `/` separates, and no stage's name holds a `+`."""
    return name.replace("/", "+")
