"""What a build would do, stage by stage, and why, before anything runs: nothing is locked, nothing written.

Exact where it can be: of a stage that is not fresh, but whose key's result was seen before, the outputs are known
already, and so the keys of what follows. Of a stage that gives something new, nobody knows what it gives: what follows
depends on it. That a stored file is damaged, or an input edited meanwhile, no forecast can see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bootsmith.cache.display import human, shown
from bootsmith.tasks.build.free_space import may_try, shortage
from bootsmith.tasks.build.reason import Reason
from bootsmith.tasks.build.workdir import guard_target
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from bootsmith.tasks.build.builder import Builder
    from bootsmith.tasks.build.freshness import Status
    from bootsmith.tasks.build.stage import Stage

Verdict = Literal["fresh", "restore", "build", "depends"]
VERSION = 1  # of the JSON, see docs/reference/explain.md


@dataclass(frozen=True)
class Forecast:
    """What will be done for a stage. `waits` are the stages whose outputs are not known yet, for "depends" only.

    `seconds` and `space` (bytes on the build directory's file system) are what building took the last time, None where
    that is not known; `fails` the words the stage will fail with, as far as that can be seen.
    """

    stage: str
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    waits: tuple[str, ...] = ()
    key: str | None = None
    seconds: float | None = None
    space: int | None = None
    fails: str = ""


def forecast(builder: Builder, *, always: bool = False) -> list[Forecast]:
    """Return a forecast for each stage that the recipe's outputs need, in the plan's order. `always` is doit's -a."""
    return list(_Forecaster(builder, always).forecasts())


class _Forecaster:
    """Goes through the plan, keeping what is known of the files there will be."""

    def __init__(self, builder: Builder, always: bool) -> None:
        self._builder = builder
        self._always = always
        self._expected: dict[Path, str] = {}
        self._unknown: dict[str, bool] = {}  # stages whose outputs are not known yet

    def forecasts(self) -> Iterator[Forecast]:
        for stage in self._builder.plan.needed():
            waits = [other.name for other in self._builder.plan.producers(stage) if other.name in self._unknown]
            yield self._waiting(stage, waits) if waits or self._builder.awaits else self._forecast(stage)

    def _waiting(self, stage: Stage, waits: list[str]) -> Forecast:
        self._unknown[stage.name] = True
        cost = self._builder.cost(stage)
        seconds, space = (cost.seconds, cost.space) if cost else (None, None)
        forced = self._forced(stage)
        if forced and not self._builder.awaits:
            return Forecast(stage.name, "build", forced, seconds=seconds, space=space)
        reasons = [Reason("depends", name, f"depends on {name}") for name in waits]
        if self._builder.awaits:
            reasons.append(Reason("lock", self._builder.plan.lock.name, self._builder.awaits))
        return Forecast(stage.name, "depends", tuple(reasons), tuple(waits), seconds=seconds, space=space)

    def _forced(self, stage: Stage) -> tuple[Reason, ...]:
        if self._always:
            return (Reason("always", "", "everything is to be built: -a"),)
        if self._builder.freshness.forgotten(stage).exists():
            return (Reason("forgotten", "", "forgotten: to be built again"),)
        return ()

    def _forecast(self, stage: Stage) -> Forecast:
        if stage.settles is not None and not stage.inputs[stage.settles].exists():
            return self._unsettled(stage, stage.inputs[stage.settles].name)
        status = self._builder.freshness.examine(stage, self._expected)
        forced = self._forced(stage)
        result = self._result(stage, status)
        if result is None:
            self._unknown[stage.name] = True
        else:
            self._expected |= {path: result[role]["hash"] for role, path in stage.outputs.items()}
        if status.fresh and not forced:
            return Forecast(stage.name, "fresh", key=status.key)
        restored = not forced and self._builder.restorable(stage, status)
        cost = self._builder.cost(stage)
        return Forecast(
            stage.name,
            "restore" if restored else "build",
            forced or status.reasons,
            key=status.key,
            seconds=cost.seconds if cost and not restored else None,
            space=cost.space if cost else None,
            fails=self._failure(stage, status, restored=restored),
        )

    def _unsettled(self, stage: Stage, lock: str) -> Forecast:
        """Return the forecast of a stage whose lock file the run makes first."""
        self._unknown[stage.name] = True
        reason = Reason("lock", lock, f"there is no {lock} yet: its packages are resolved once the tree is there")
        return Forecast(stage.name, "build", (reason,))

    def _result(self, stage: Stage, status: Status) -> Mapping[str, Mapping[str, Any]] | None:
        """Return what a stage's key gives, where that is known."""
        if status.key is None:
            return None
        if status.record is not None and status.record.key == status.key:
            return status.record.outputs
        found = self._builder.identities.store.result(status.key)
        return found if found is not None and set(found) == set(stage.outputs) else None

    def _failure(self, stage: Stage, status: Status, *, restored: bool) -> str:
        if status.error is not None:
            return str(status.error)
        try:
            for path in stage.outputs.values():
                guard_target(stage.name, path, folder=stage.folders)
        except StageError as error:
            return str(error)
        builder, cost = self._builder, self._builder.cost(stage)
        if cost is None:
            return ""
        key = status.key if restored else None
        short = shortage(stage, cost, builder.plan.build, builder.identities.store, key=key)
        return str(short) if short and not may_try() else ""


def to_text(forecasts: list[Forecast], refused: Sequence[str] = ()) -> str:
    """Return the forecasts as a user reads them; `refused` says why nothing would be begun."""
    lines = [*dict.fromkeys(reason.text for each in forecasts for reason in each.reasons if reason.kind == "lock")]
    for each in forecasts:
        cost = [] if each.verdict in {"fresh", "restore"} or each.seconds is None else [f"about {each.seconds:.1f} s"]
        if each.verdict != "fresh" and each.space:
            cost.append(human(each.space))
        lines.append(f"{each.verdict:9}{each.stage:22}  {', '.join(cost)}".rstrip())
        if each.waits:
            lines.append(f"{'':11}on {', '.join(each.waits)}")
        lines += [f"{'':11}{reason.text}" for reason in each.reasons if reason.kind not in ("depends", "lock")]
        lines += [f"{'':11}will fail: {line}" for line in each.fails.splitlines()[:1]]
    if refused:
        return "\n".join([*lines, "refused before anything is built:", *(f"{'':11}{each}" for each in refused)])
    counted = [
        (verdict, sum(each.verdict == verdict for each in forecasts)) for verdict in ("build", "restore", "depends")
    ]
    words = [f"{count} to {verdict}" for verdict, count in counted[:2] if count]
    given = "those give" if words else "is not known yet"
    words += [f"{count} depending on what {given}" for verdict, count in counted[2:] if count]
    return "\n".join([*lines, (", ".join(words) + _duration(forecasts)) if words else "nothing to do"])


def _duration(forecasts: list[Forecast]) -> str:
    """Return how long it may take, as far as it is known: of a stage that was never built it is not."""
    known = [each.seconds for each in forecasts if each.verdict in {"build", "depends"}]
    if None in known or not known:
        return ""
    return f": at most about {sum(each or 0 for each in known):.1f} s"


def to_json(builder: Builder, forecasts: list[Forecast], refused: Sequence[str] = ()) -> dict[str, Any]:
    """Return the forecasts as docs/reference/explain.md describes them."""
    return {
        "version": VERSION,
        "recipe": shown(builder.plan.recipe),
        "build": shown(builder.plan.build),
        "stages": [
            {
                "stage": each.stage,
                "verdict": each.verdict,
                "depends": list(each.waits),
                "key": each.key,
                "seconds": each.seconds,
                "bytes": each.space,
                "fails": each.fails or None,
                "reasons": [reason.to_json() for reason in each.reasons],
            }
            for each in forecasts
        ],
        "refused": [*refused],
    }
