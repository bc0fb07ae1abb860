"""The plan: the stages of one image in order, as data. Pure: it reads nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bootsmith.tasks.build.stage import NOTHING, Json, Stage

if TYPE_CHECKING:
    from bootsmith.tasks.build.secret import Secret

BEGINNING = 315_532_800
"""1 January 1980, the first day that FAT can tell: when everything was made in an image that needs no package."""


class Plan(NamedTuple):
    """The stages of one image, producers before consumers, and the folder `build`, absolute, where they are made.

    `lock` is the file that holds what they take from elsewhere to one version, `epoch` (seconds) when all they make was
    made, as it says itself. `outputs` are the files a user asked for, `products` the stages that a build is for: those
    and whatever else is taken away from it. `aliases` are words for stages that their own names do not tell, `named`
    the files and folders that the recipe names, by the keys that do.
    """

    name: str
    build: Path
    lock: Path
    epoch: int
    recipe: Path
    description: str
    stages: tuple[Stage, ...]
    outputs: tuple[Path, ...]
    products: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = NOTHING
    named: Mapping[str, Path] = NOTHING

    def stage(self, name: str) -> Stage:
        """Return the stage of that name. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def producers(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages whose outputs `stage` reads, in plan order."""
        wanted = set(stage.inputs.values())
        return tuple(other for other in self.stages if wanted.intersection(other.outputs.values()))

    def moved(self, folder: Path) -> Plan:
        """Return the plan with all that lies below the build directory in another folder."""

        def to(path: Path) -> Path:
            return folder / path.relative_to(self.build) if path.is_relative_to(self.build) else path

        def move(paths: Mapping[str, Path]) -> dict[str, Path]:
            return {role: to(path) for role, path in paths.items()}

        stages = tuple(each._replace(inputs=move(each.inputs), outputs=move(each.outputs)) for each in self.stages)
        return self._replace(build=folder, stages=stages, outputs=tuple(to(path) for path in self.outputs))

    def finals(self) -> tuple[Stage, ...]:
        """Return the stages that make the files a user asked for."""
        return tuple(stage for stage in self.stages if set(stage.outputs.values()).intersection(self.outputs))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Return the names that stand for several stages, and for which; a stage of that name stands for itself."""
        found: dict[str, tuple[str, ...]] = {}
        for stage in self.stages:
            group, slash, _ = stage.name.partition("/")
            if slash:
                found[group] = (*found.get(group, ()), stage.name)
        whole = {stage.name for stage in self.stages}
        return {group: names for group, names in {**found, **self.aliases}.items() if names and group not in whole}

    def needed(self, wanted: Iterable[str] | None = None) -> tuple[Stage, ...]:
        """Return the stages called `wanted`, or those of the files a user asked for, with all they need, in order."""
        usual = self.aliases.get("image") or tuple(stage.name for stage in self.finals())
        found = set(usual if wanted is None else wanted)
        for stage in reversed(self.stages):
            if stage.name in found:
                found.update(other.name for other in self.producers(stage))
        return tuple(stage for stage in self.stages if stage.name in found)


def in_order(stages: Iterable[Stage]) -> list[Stage]:
    """Return the stages with producers before consumers, otherwise as they came. Raises ValueError on a cycle."""
    waiting = list(stages)
    made = {path for stage in waiting for path in stage.outputs.values()}
    ordered: list[Stage] = []
    while waiting:
        ready = next((stage for stage in waiting if not made.intersection(stage.inputs.values())), None)
        if ready is None:
            raise ValueError(f"stages that wait for each other: {', '.join(stage.name for stage in waiting)}")
        waiting.remove(ready)
        made.difference_update(ready.outputs.values())
        ordered.append(ready)
    return ordered


def to_json(plan: Plan) -> dict[str, Json]:
    """Return the plan as JSON-able data, for the plan cache."""
    stages = [stage._asdict() | {"secrets": _references(stage)} for stage in plan.stages]
    return cast("dict[str, Json]", _plain({**plan._asdict(), "stages": stages}))


def from_json(data: Mapping[str, Any]) -> Plan:
    """Return the plan `to_json` was given."""
    return Plan(
        **{
            **data,
            **{each: Path(data[each]) for each in ("build", "lock", "recipe")},
            "stages": tuple(_stage(each) for each in data["stages"]),
            "outputs": tuple(Path(path) for path in data["outputs"]),
            "products": tuple(data["products"]),
            "aliases": {word: tuple(names) for word, names in data["aliases"].items()},
            "named": {key: Path(path) for key, path in data["named"].items()},
        }
    )


def _stage(data: Mapping[str, Any]) -> Stage:
    return Stage(
        **{
            **data,
            "inputs": {role: Path(path) for role, path in data["inputs"].items()},
            "outputs": {role: Path(path) for role, path in data["outputs"].items()},
            "tools": tuple(data["tools"]),
            "loads": tuple(data["loads"]),
            "secrets": _secrets(data["secrets"]),
        }
    )


def _references(stage: Stage) -> dict[str, Any]:
    return {role: {"file": each.file, "env": each.env, "hash": each.hash} for role, each in stage.secrets.items()}


def _secrets(references: Mapping[str, Any]) -> dict[str, Secret]:
    if not references:
        return {}
    from bootsmith.tasks.build.secret import Secret

    return {
        role: Secret(Path(each["file"]) if each["file"] else None, each["env"], each["hash"])
        for role, each in references.items()
    }


def _plain(value: Any) -> Any:
    """Turn paths into text and tuples into lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
