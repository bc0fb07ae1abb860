"""Values as read, to the frozen Recipe: what is unwritten filled in from the rest."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.completion import disk as disks
from bootsmith.tasks.recipe.completion import media, tree_outputs
from bootsmith.tasks.recipe.keys.all import SYSTEM, USER
from bootsmith.tasks.recipe.loaders import layouts
from bootsmith.tasks.recipe.model.boot import Boot, BootEntry
from bootsmith.tasks.recipe.model.build import Build
from bootsmith.tasks.recipe.model.disk import Disk
from bootsmith.tasks.recipe.model.files import File, PackageFile
from bootsmith.tasks.recipe.model.layers import (
    Devices,
    Directories,
    Files,
    LayerSpec,
    Links,
    Overlay,
    Packages,
    Remove,
    Run,
    Script,
)
from bootsmith.tasks.recipe.model.machine import Machine
from bootsmith.tasks.recipe.model.outputs import (
    Aws,
    Azure,
    Box,
    Gcp,
    InitramfsOutput,
    KernelOutput,
    OutputSpec,
    Ova,
    Ovf,
    Qcow2,
    Raw,
    Vdi,
    Vhd,
    Vhdx,
    Vmdk,
)
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.model.source import Debian, Source, Ubuntu
from bootsmith.tasks.recipe.model.system import System
from bootsmith.tasks.recipe.values import files
from bootsmith.tasks.recipe.values.shapes import Chosen

_NAMES = {"kernel": "{}.vmlinuz", "azure": "{}-azure.vhd", "gcp": "{}-gcp.tar.gz", "aws": "{}-aws.vmdk"}
_BOX = "{}-{}.box"
"""What outputs are called, that are not called by their kind."""
_PACKED = {"none": "", "gzip": ".gz", "xz": ".xz", "zstd": ".zst"}
_IMAGES: Mapping[str, Any] = {
    "vhd": Vhd, "vhdx": Vhdx, "vdi": Vdi, "vmdk": Vmdk, "azure": Azure, "gcp": Gcp,
    "aws": Aws, "ova": Ova, "ovf": Ovf, "box": Box, "kernel": KernelOutput,
}  # fmt: skip
"""What has no key whose default follows from others."""


def _hypervisors_word(source: Source) -> str:
    """Return what hypervisors are told that a guest is."""
    if isinstance(source, Ubuntu):
        return "ubuntu"
    return "debian" if isinstance(source, Debian) else "linux"


def complete(
    values: Mapping[str, Any], file: Path, read: tuple[Path, ...], profile: str | None, choices: Sequence[str] = ()
) -> Recipe:
    """Return the recipe that `values` describe, which were `read` from files; `choices` are what was chosen there."""
    name = values["name"] or file.stem
    seed = values["seed"] or name
    names: tuple[str, ...] = values["boot"]["loader"]
    disk = disks.complete(values["disk"], names, seed)
    boot = _boot(values["boot"], disk, trees=all(tree_outputs.is_tree(each.kind) for each in values["outputs"]))
    source = values["source"].value
    system = "other" if boot.protocol != "linux" else _hypervisors_word(source)
    found = Recipe(
        file=file,
        files=read,
        profile=profile,
        name=name,
        description=values["description"],
        version=values["version"],
        arch=values["arch"],
        seed=seed,
        epoch=values["epoch"],
        build={name: _build(each, file.parent) for name, each in values["build"].items()},
        source=source,
        archive=values["archive"],
        layers=tuple(_layer(number, each) for number, each in enumerate(values["layers"], 1)),
        system=_system(values["system"], boot, name),
        disk=disk,
        boot=boot,
        outputs=tuple(_outputs(values["outputs"], name, system, boot, media.Volume(seed, values["arch"]))),
        machine=complete_machine(values["machine"]),
        test=values["test"],
        verify=values["verify"],
        choices=tuple(choices),
    )
    suite = source.suite if isinstance(source, Debian) else None
    settled: Recipe = files.settle(found, suite, found.arch)
    return settled


def complete_machine(values: Mapping[str, Any]) -> Machine:
    """Return the machine that the values of its section describe."""
    return Machine(**{**values, "serial": str(values["serial"])})


def _build(build: Build, folder: Path) -> Build:
    return build if build.dir is not None else replace(build, dir=folder)


def _layer(number: int, chosen: Chosen) -> LayerSpec:
    name = chosen.name or f"{number}-{chosen.kind}"
    of_named = {
        "files": Files,
        "directories": Directories,
        "links": Links,
        "devices": Devices,
        "remove": Remove,
    }
    of_keys = {"overlay": Overlay, "packages": Packages, "run": Run, "script": Script}
    found: LayerSpec = (
        of_keys[chosen.kind](name, **chosen.value)
        if chosen.kind in of_keys
        else of_named[chosen.kind](name, chosen.value)
    )
    return found


def _system(values: Mapping[str, Any] | Literal["none"] | None, boot: Boot, name: str) -> System | Literal["none"]:
    if values is None:
        values = "none" if boot.protocol != "linux" or boot.initrd == "tree" else SYSTEM.blank
    if isinstance(values, str):
        return "none"
    users = values["users"] if "root" in values["users"] else {"root": USER.blank, **values["users"]}
    return System(**{**values, "hostname": values["hostname"] or name, "users": users})


def _entries(values: Mapping[str, Any], *, trees: bool) -> Iterator[tuple[str, BootEntry]]:
    """Yield the menu's entries but for those with a module of which the recipe says that there is none."""
    for name, each in values["entries"].items():
        modules = values["modules"] if each["modules"] is None else each["modules"]
        if any(module.file == "none" for module in modules):
            continue
        kernel, initrd = values["kernel"] if each["kernel"] is None else each["kernel"], each["initrd"]
        initrd = values["initrd"] if initrd is None else initrd
        found = {
            "kernel": kernel,
            "initrd": _initrd(initrd, kernel, values["protocol"], trees=trees),
            "modules": modules,
        }
        yield name, BootEntry(name, **{**each, **found})


def _initrd(said: Any, kernel: Any, protocol: str, *, trees: bool) -> Any:
    """Return an initrd as it is meant: to a kernel that is not Linux none goes by itself, nor to none in a tree."""
    return "none" if said == "auto" and (protocol != "linux" or (trees and kernel == "none")) else said


def _root(initrd: object, disk: Disk) -> str:
    """Return how the kernel is told its root filesystem, where nobody says."""
    if initrd == "tree":
        return "none"
    return "uuid" if disk.table == "none" else "partuuid"


def _boot(values: Mapping[str, Any], disk: Disk, *, trees: bool) -> Boot:
    entries = dict(_entries(values, trees=trees))
    timeout = values["timeout"]
    return Boot(
        **{
            **values,
            "initrd": _initrd(values["initrd"], values["kernel"], values["protocol"], trees=trees),
            "root": values["root"] or ("none" if values["protocol"] != "linux" else _root(values["initrd"], disk)),
            "entries": entries,
            "default": values["default"] or next(iter(entries), ""),
            "timeout": (5 if len(entries) > 1 else 0) if timeout is None else timeout,
            "place": layouts.usual_place(values["loader"], disk)
            if values["place"] in (None, "auto")
            else values["place"],
        }
    )


def _packed(boot: Boot) -> bool:
    """Tell whether the initrd that an output keeps is the tree, which is packed as one wants it."""
    entry = boot_files.default(boot)
    return entry is not None and entry.initrd == "tree"


def _outputs(
    chosen: Iterable[Chosen], name: str, system: str, boot: Boot, volume: media.Volume
) -> Iterator[OutputSpec]:
    isos = itertools.count(1)
    trees = tree_outputs.Trees(name, volume.seed)
    for each in chosen:
        match each.kind:
            case kind if tree_outputs.is_tree(kind):
                yield trees.output(kind, each.value)
            case "iso":
                yield volume.iso(each.value["file"] or f"{name}.iso", each.value, name, boot, next(isos))
            case "cidata":
                yield media.cidata(each.value, name)
            case _:
                yield output(each, name, system, packed_tree=_packed(boot))


def output(chosen: Chosen, name: str, system: str, *, packed_tree: bool = False) -> OutputSpec:
    """Return an output with everything unwritten filled in.

    `system` is what the guest is, and `packed_tree` says whether the initrd is the tree.
    """
    values = chosen.value
    usual = _BOX.format(name, values["provider"]) if chosen.kind == "box" else f"{name}.{chosen.kind}"
    file = values["file"] or _NAMES.get(chosen.kind, usual).format(name)
    if "os" in values:
        values = {**values, "os": values["os"] or system}
    match chosen.kind:
        case "raw":
            ending = "" if values["file"] else _PACKED[values["compress"]]
            return Raw(file + ending, values["compress"], size=values["size"])
        case "qcow2":
            return _qcow2(file, values)
        case "initramfs":
            return InitramfsOutput(file, values["compress"] or ("gzip" if packed_tree else None))
    found: OutputSpec = _IMAGES[chosen.kind](**{**values, "file": file})
    return found


def _qcow2(file: str, values: Mapping[str, Any]) -> Qcow2:
    old = values["compat"] == "0.10"
    compress: Any = values["compress"] or ("none" if values["encrypt"] else "zlib" if old else "zstd")
    laid_out = compress == "none" and not any(values[key] for key in ("backing", "encrypt", "snapshot"))
    return Qcow2(
        file=file,
        compress=compress,
        preallocation=values["preallocation"] or ("metadata" if laid_out else "off"),
        cluster=values["cluster"],
        compat=values["compat"],
        lazy_refcounts=not old if values["lazy_refcounts"] is None else values["lazy_refcounts"],
        backing=values["backing"],
        backing_format=values["backing_format"] or _format(values["backing"]),
        encrypt=values["encrypt"],
        snapshot=values["snapshot"],
        size=values["size"],
    )


def _format(backing: File | None) -> Literal["raw", "qcow2"] | None:
    """Return what a backing file is, by its name."""
    if backing is None:
        return None
    name = backing.path if isinstance(backing, PackageFile) else backing.name if isinstance(backing, Path) else ""
    return "qcow2" if name.endswith(".qcow2") else "raw"
