"""A plan remembered from an earlier run: to read YAML and plan again would be most of a build with nothing to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bootsmith.cache.digest import key as keys
from bootsmith.cache.digest.fingerprint import fingerprint
from bootsmith.cache.files import sealed
from bootsmith.cache.files.clock import settled
from bootsmith.tasks.build import plan as plans
from bootsmith.tasks.planning import inputs

if TYPE_CHECKING:
    from bootsmith.tasks.build.identities import Identities
    from bootsmith.tasks.build.plan import Plan
    from bootsmith.tasks.packages.lockfile import LockFile

KIND = "plan 2"


class RememberedPlan:
    """The plan that was made of what was `asked`: all that it follows from, but for files and code.

    `planner` is the module that plans: it imports, here or there, all code that shapes a plan.
    """

    def __init__(self, asked: Mapping[str, keys.Value], planner: str, identities: Identities) -> None:
        self._file = identities.root / "plans" / f"{keys.key(asked)}.json"
        self._planner = planner
        self._identities = identities

    def recall(self) -> Plan | None:
        """Return the plan made of the very same files and code, if there is one. Raises RecipeError, see inputs."""
        try:
            noted = json.loads(sealed.read(self._file, KIND) or b"null")
            if self._sources([Path(name) for name in noted["files"]]) != noted["files"]:
                return None
            if self._code(noted["codes"]) != noted["code"]:
                return None
            plan = plans.from_json(noted["plan"])
        except (OSError, ValueError, KeyError, TypeError, ModuleNotFoundError):
            return None  # nothing noted, or not ours to read: planning anew is always right
        self._identities.codes |= noted["codes"]
        inputs.check(plan.named, plan.build, plan.recipe)
        return plan

    def remember(self, plan: Plan, files: Iterable[Path], locked: LockFile | None, since: int) -> None:
        """Note a plan for runs to come, unless a file that it follows from was edited `since` (in ns) it was read.

        `locked` is what the plan took of its lock file.
        """
        for stage in plan.stages:
            self._identities.code(stage)
        followed = [*files, *([plan.lock] if locked else [])]
        sources = self._sources(followed)
        if any(settled(each.stat()) >= since for each in files) or not _says(plan.lock, locked):
            return
        if self._sources(followed) != sources:
            return
        codes = self._identities.codes
        noted = {"files": sources, "codes": codes, "code": self._code(codes), "plan": plans.to_json(plan)}
        with suppress(OSError):  # a cache that is only read, or full: it is planned anew
            self._file.parent.mkdir(parents=True, exist_ok=True)
            sealed.write(self._file, KIND, json.dumps(noted).encode())

    def _sources(self, files: Iterable[Path]) -> dict[str, str]:
        return {str(file): fingerprint(file, self._identities.memo) for file in files}

    def _code(self, stages: Iterable[str]) -> str:
        """Return the identity of the code that plans, and of the modules that stages run."""
        from bootsmith.cache.digest.code import joint_identity

        return joint_identity([self._planner, *stages], self._identities.memo)


def _says(lock: Path, locked: LockFile | None) -> bool:
    """Tell whether a lock file, where there is one, still says what was read of it, or written to it."""
    from bootsmith.tasks.packages import lockfile

    return locked is None or lockfile.read(lock) == locked
