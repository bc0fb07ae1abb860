"""The plan: a recipe's stages in order. Pure: it reads nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bootsmith.tasks.build.site import Site
from bootsmith.tasks.build.stage import NOTHING, Json, Stage

if TYPE_CHECKING:
    from bootsmith.tasks.build.secret import Secret
    from bootsmith.tasks.recipe.model import Recipe


class Plan(NamedTuple):
    """The stages of one image, producers before consumers. `outputs` are the files a user asked for.

    `named` are the files and folders that the recipe names, by the keys that do.
    """

    site: Site
    recipe: Path
    description: str
    stages: tuple[Stage, ...]
    outputs: tuple[Path, ...]
    named: Mapping[str, Path] = NOTHING

    def stage(self, name: str) -> Stage:
        """Return the stage of that name. Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    @property
    def sealed(self) -> Stage | None:
        """The stage of an encrypted image, where the recipe keeps no other disk than such."""
        raw = {path for stage in self.stages if stage.name == "assemble" for path in stage.outputs.values()}
        disks = [each for each in self.finals() if raw.intersection((*each.inputs.values(), *each.outputs.values()))]
        return disks[0] if disks and all(each.secrets for each in disks) else None

    def producers(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages whose outputs `stage` reads, in plan order."""
        wanted = set(stage.inputs.values())
        return tuple(other for other in self.stages if wanted.intersection(other.outputs.values()))

    def moved(self, folder: Path) -> Plan:
        """Return the plan with all that lies below the build directory in another folder."""
        build = self.site.build

        def to(path: Path) -> Path:
            return folder / path.relative_to(build) if path.is_relative_to(build) else path

        def move(paths: Mapping[str, Path]) -> dict[str, Path]:
            return {role: to(path) for role, path in paths.items()}

        stages = tuple(each._replace(inputs=move(each.inputs), outputs=move(each.outputs)) for each in self.stages)
        site = self.site._replace(build=folder)
        return self._replace(site=site, stages=stages, outputs=tuple(to(path) for path in self.outputs))

    def finals(self) -> tuple[Stage, ...]:
        """Return the stages that make the files a user asked for."""
        return tuple(stage for stage in self.stages if set(stage.outputs.values()).intersection(self.outputs))

    def direct(self) -> tuple[Stage, ...]:
        """Return the stages that make what boots without a disk's loader: kernels and initrds."""
        site = self.site
        return tuple(
            stage
            for stage in self.stages
            if any(
                path in (site.kernel, site.initrd) or path.is_relative_to(site.entries)
                for path in stage.outputs.values()
            )
        )

    def groups(self) -> dict[str, list[str]]:
        """Return the names that stand for several stages, and for which; a stage of that name stands for itself."""
        found: dict[str, list[str]] = {}
        whole = {stage.name for stage in self.stages}
        for stage in self.stages:
            group, slash, _ = stage.name.partition("/")
            if slash:
                found.setdefault(group, []).append(stage.name)
        found["image"] = [stage.name for stage in self.finals()]
        found["raw"] = ["assemble"] if "assemble" in whole else []
        return {group: names for group, names in found.items() if names and group not in whole}

    def needed(self, wanted: Iterable[str] | None = None) -> tuple[Stage, ...]:
        """Return the stages called `wanted`, or those of the files a user asked for, with all they need, in order."""
        found = {stage.name for stage in self.finals()} if wanted is None else set(wanted)
        for stage in reversed(self.stages):
            if stage.name in found:
                found.update(other.name for other in self.producers(stage))
        return tuple(stage for stage in self.stages if stage.name in found)


def make(recipe: Recipe, site: Site) -> Plan:
    """Return the plan of a recipe whose build lives at `site`."""
    from bootsmith.tasks.planning import inputs
    from bootsmith.tasks.planning.stages import (
        assemble,
        boot_file_outputs,
        bootloader,
        convert,
        extraction,
        initrd,
        kernel,
        layers,
        partition,
        populate,
        rootfs,
    )
    from bootsmith.tasks.recipe import boot_files

    stages = [
        rootfs.stage(recipe, site),
        *extraction.stages(recipe, site),
        *layers.stages(recipe, site),
        *kernel.stages(recipe, site),
        *initrd.stages(recipe, site),
    ]
    if recipe.disk.partitions:
        stages += [
            bootloader.stage(recipe, site),
            partition.stage(recipe, site),
            *populate.stages(recipe, site),
            assemble.stage(recipe, site),
            *convert.stages(recipe, site),
        ]
    stages += boot_file_outputs.stages(recipe, site)
    outputs = [site.output(output.file) for output in recipe.outputs]
    if not recipe.disk.partitions:  # nothing else needs what entries have of their own, and they boot
        outputs += [site.kernel_for(entry) for entry in boot_files.kernels(recipe.boot) if entry]
        outputs += [site.initrd_for(entry) for entry in boot_files.initrds(recipe.boot) if entry]
    return Plan(site, recipe.file, recipe.description, tuple(in_order(stages)), tuple(outputs), inputs.named(recipe))


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
    return cast(
        "dict[str, Json]",
        {
            "site": _plain(plan.site._asdict()),
            "recipe": str(plan.recipe),
            "description": plan.description,
            "outputs": [str(path) for path in plan.outputs],
            "named": {key: str(path) for key, path in plan.named.items()},
            "stages": [_plain(stage._asdict() | {"secrets": _references(stage)}) for stage in plan.stages],
        },
    )


def from_json(data: Mapping[str, Any]) -> Plan:
    """Return the plan `to_json` was given."""
    site = data["site"]
    return Plan(
        Site(site["name"], Path(site["build"]), Path(site["lock"]), site["epoch"]),
        Path(data["recipe"]),
        data["description"],
        tuple(_stage(each) for each in data["stages"]),
        tuple(Path(path) for path in data["outputs"]),
        {key: Path(path) for key, path in data["named"].items()},
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
