"""Values as read, to the frozen Recipe: what is unwritten filled in from the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bootsmith.tasks.recipe import derive, loaders, model
from bootsmith.tasks.recipe.keys import USER
from bootsmith.tasks.recipe.shapes import Chosen


def recipe(values: Mapping[str, Any], file: Path, files: tuple[Path, ...], profile: str | None) -> model.Recipe:
    """Return the recipe that `values` describe."""
    name = values["name"] or file.stem
    seed = values["seed"] or name
    names: tuple[str, ...] = values["boot"]["loader"]
    disk = derive.disk(values["disk"], names, seed)
    return model.Recipe(
        file=file,
        files=files,
        profile=profile,
        name=name,
        description=values["description"],
        version=values["version"],
        arch=values["arch"],
        seed=seed,
        epoch=values["epoch"],
        source=values["source"].value,
        layers=tuple(_layer(number, each) for number, each in enumerate(values["layers"], 1)),
        system=_system(values["system"], name),
        disk=disk,
        boot=_boot(values["boot"], disk),
        outputs=tuple(_outputs(values["outputs"], name)),
        machine=machine(values["machine"]),
        test=values["test"],
    )


def machine(values: Mapping[str, Any]) -> model.Machine:
    """Return the machine that the values of its section describe."""
    return model.Machine(**{**values, "serial": str(values["serial"])})


def _layer(number: int, chosen: Chosen) -> model.LayerSpec:
    name = chosen.name or f"{number}-{chosen.kind}"
    match chosen.kind:
        case "overlay":
            return model.Overlay(name, **chosen.value)
        case "files":
            return model.Files(name, chosen.value)
        case "directories":
            return model.Directories(name, chosen.value)
        case "links":
            return model.Links(name, chosen.value)
    return model.Remove(name, chosen.value)


def _system(values: Mapping[str, Any], name: str) -> model.System:
    users = values["users"] if "root" in values["users"] else {"root": USER.blank, **values["users"]}
    return model.System(**{**values, "hostname": values["hostname"] or name, "users": users})


def _boot(values: Mapping[str, Any], disk: model.Disk) -> model.Boot:
    entries = {name: model.BootEntry(name, **each) for name, each in values["entries"].items()}
    timeout = values["timeout"]
    return model.Boot(
        **{
            **values,
            "entries": entries,
            "default": values["default"] or next(iter(entries), ""),
            "timeout": (5 if len(entries) > 1 else 0) if timeout is None else timeout,
            "place": loaders.usual_place(values["loader"], disk)
            if values["place"] in (None, "auto")
            else values["place"],
        }
    )


def _outputs(chosen: Iterable[Chosen], name: str) -> Iterable[model.OutputSpec]:
    for each in chosen:
        values = each.value
        file = values["file"] or f"{name}.{each.kind}"
        if each.kind == "raw":
            yield model.Raw(file)
            continue
        old = values["compat"] == "0.10"
        compress: Any = values["compress"] or ("zlib" if old else "zstd")
        yield model.Qcow2(
            file=file,
            compress=compress,
            preallocation=values["preallocation"] or ("metadata" if compress == "none" else "off"),
            cluster=values["cluster"],
            compat=values["compat"],
            lazy_refcounts=not old if values["lazy_refcounts"] is None else values["lazy_refcounts"],
        )
