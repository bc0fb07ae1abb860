"""History: the builds there were of one build directory, what each was made of, and what it changed.

Kept in the store, so that it outlives the build directory. An entry keeps nothing else alive: what it names may be
gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bootsmith.cache.digest import key as keys
from bootsmith.cache.files import sealed
from bootsmith.cache.store import record as records
from bootsmith.tasks.build.cost import COSTS

if TYPE_CHECKING:
    from bootsmith.tasks.build.freshness import Freshness
    from bootsmith.tasks.build.stage import Stage

KIND = "history 1"
SHORT = 8  # digits of an id that are shown
PRIVATE = 0o700
NAMED = 3  # stages that words about a change name


class Entry(NamedTuple):
    """One build. Whatever gave the same outputs is the same build, made once more: `first` and `last` say when.

    `changed` says against the build before it what is another; `outputs` are its files, from the build directory.
    `stages` tells of each stage its "key", "parts", "details" and "outputs" as its record did (a "file" is a path from
    the build directory), whether it was "stored", its "run", where each input came from ({"stage", "role"} or
    {"path"}), and what it took.
    """

    id: str
    first: float
    last: float
    changed: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: Mapping[str, Mapping[str, Any]]

    @property
    def short(self) -> str:
        """The part of the id that is shown, and enough to name it."""
        return self.id[:SHORT]


class History:
    """The entries of one build directory."""

    def __init__(self, freshness: Freshness) -> None:
        build = freshness.plan.build
        self._plan = freshness.plan
        self._identities = freshness.identities
        self._freshness = freshness
        self._folder = freshness.identities.root / "history" / f"{build.name}-{keys.key({'build': str(build)})[:SHORT]}"

    def entries(self) -> list[Entry]:
        """Return all entries, the newest first; damaged ones are left out."""
        found = [entry for path in self._files() if (entry := _read(path))]
        return sorted(found, key=lambda entry: entry.last, reverse=True)

    def newest(self) -> Entry | None:
        """Return the entry of the last build."""
        return next((entry for path in self._files() if (entry := _read(path))), None)

    def note(self) -> bool:
        """Note the build that is there now, if this run made or met all of one; tell whether. Raises OSError."""
        plan = self._plan
        made = [stage for stage in plan.stages if stage.name in plan.products and self._freshness.known(stage)]
        stages = dict(self._stages(made)) if made else {}
        if not stages:
            return False
        now = time.time()
        before = self.newest()
        if before and _held(before.stages, made) == _held(stages, made):
            self._write(
                before._replace(last=now, stages={**before.stages, **stages})
            )  # the same again, or a part of it
            return True
        id = keys.key(_held(stages, made))  # noqa: A001  # as everybody calls it
        same = _read(self._folder / f"{id}.json")
        changed = tuple(self._changes(before, stages)) if before else ("the first build",)
        files = tuple(str(path.relative_to(plan.build)) for stage in made for path in stage.outputs.values())
        self._write(Entry(id, same.first if same else now, now, changed, files, stages))
        return True

    def _write(self, entry: Entry) -> None:
        """Keep an entry; held, for a gc that looked before may think it useless."""
        self._identities.store.lease.hold(f"history/{self._folder.name}/{entry.id}.json")
        self._folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        sealed.write(self._folder / f"{entry.id}.json", KIND, json.dumps(entry._asdict(), default=dict).encode())

    def missing(self, entry: Entry) -> list[str]:
        """Return the stages whose outputs an entry needs, and that are not in the store any more."""
        store = self._identities.store
        lost: dict[str, None] = {}

        def need(name: str) -> None:
            stage = entry.stages[name]
            if stage["stored"]:
                if not all(store.has(each["hash"]) for each in stage["outputs"].values()):
                    lost[name] = None
            else:
                for source in stage["inputs"].values():
                    if "stage" in source:
                        need(source["stage"])

        for name in finals(entry):
            need(name)
        return list(lost)

    def _files(self) -> list[Path]:
        """Return the entries' files, the one written last first."""
        try:
            found = [(path.stat().st_mtime_ns, path) for path in self._folder.glob("*.json")]
        except OSError:
            return []
        return [path for _, path in sorted(found, reverse=True)]

    def _stages(self, made: list[Stage]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what an entry keeps of each stage that the ones made rest on; nothing where a record is missing."""
        plan = self._plan
        makers = {
            path: {"stage": stage.name, "role": role} for stage in plan.stages for role, path in stage.outputs.items()
        }
        wanted = {stage.name for stage in made}
        found = []
        for stage in reversed(plan.stages):
            if stage.name not in wanted:
                continue
            wanted.update(other.name for other in plan.producers(stage))
            record = records.read(self._freshness.record(stage))
            if record is None:
                return
            outputs = {
                role: {**record.outputs[role], "file": str(path.relative_to(plan.build))}
                for role, path in stage.outputs.items()
            }
            inputs = {role: makers.get(path, {"path": str(path)}) for role, path in stage.inputs.items()}
            kept = {"key": record.key, "parts": record.parts, "details": record.details, "outputs": outputs}
            cost = {name: getattr(record, name) for name in COSTS}
            found.append((stage.name, {**kept, **cost, "stored": stage.stored, "run": stage.run, "inputs": inputs}))
        yield from reversed(found)

    def _changes(self, before: Entry, stages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        """Yield in words what differs from the build before, the same words once for all stages they are true of."""
        words: dict[str, list[str]] = {}
        for name, stage in stages.items():
            if name not in before.stages:
                words.setdefault("new", []).append(name)
            else:
                for text in self._differences(name, before.stages[name], stage):
                    words.setdefault(text, []).append(name)
        present = {stage.name for stage in self._plan.stages}
        for name in before.stages:
            if name not in present:
                words.setdefault("gone", []).append(name)
        for text, names in words.items():
            more = len(names) - NAMED
            yield f"{', '.join(names[:NAMED])}{f' and {more} more' if more > 0 else ''}: {text}"

    def _differences(self, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
        from bootsmith.tasks.build.reason import Comparison, Side

        if old["key"] != new["key"]:
            sides = [Side.kept(each["parts"], each["details"], self._identities) for each in (old, new)]
            stage, makers = self._plan.stage(name), self._freshness.makers
            found = Comparison(stage, makers, self._identities, *sides).reasons()
            return [each.short for each in found if each.short]
        held = [{role: each["hash"] for role, each in side["outputs"].items()} for side in (old, new)]
        return [] if held[0] == held[1] else ["other bytes, though made of the same"]


def _held(stages: Mapping[str, Mapping[str, Any]], made: list[Stage]) -> dict[str, dict[str, list[str]]]:
    """Return what the stages made hold: stage -> role -> file and fingerprint."""
    return {
        stage.name: {role: [each["file"], each["hash"]] for role, each in stages[stage.name]["outputs"].items()}
        for stage in made
        if stage.name in stages
    }


def finals(entry: Entry) -> list[str]:
    """Return the stages that made an entry's files."""
    wanted = set(entry.outputs)
    return [
        name
        for name, stage in entry.stages.items()
        if any(each["file"] in wanted for each in stage["outputs"].values())
    ]


def to_text(history: History, entries: list[Entry]) -> str:
    """Return entries as a user reads them."""
    lines = []
    for entry in entries:
        missing = history.missing(entry)
        whole = f"not in the store any more: {', '.join(missing)}" if missing else "complete"
        lines.append(f"{entry.short}  {moment(entry.last)}  {whole}")
        lines += [f"{'':10}{text}" for text in entry.changed]
        if entry.first != entry.last:
            lines.append(f"{'':10}first made {moment(entry.first)}")
    return "\n".join(lines) or "no build was noted yet"


def to_json(history: History, entries: list[Entry]) -> dict[str, Any]:
    """Return entries as docs/reference/history.md describes them."""
    kept = ("key", "outputs", "stored", "seconds")
    return {
        "version": 1,
        "builds": [
            {
                "id": entry.id,
                "first": entry.first,
                "last": entry.last,
                "changed": list(entry.changed),
                "outputs": list(entry.outputs),
                "missing": history.missing(entry),
                "stages": {name: {each: stage[each] for each in kept} for name, stage in entry.stages.items()},
            }
            for entry in entries
        ],
    }


def moment(seconds: float) -> str:
    """Return a time as it is shown, in the user's time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _read(path: Path) -> Entry | None:
    body = sealed.read(path, KIND)
    if body is None:
        return None
    data = json.loads(body)
    return Entry(**{**data, "changed": tuple(data["changed"]), "outputs": tuple(data["outputs"])})
