"""The stages `convert/...` that are made of the raw disk: its other formats, and what clouds and hypervisors take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.formats.appliance import ApplianceParams
from bootsmith.tasks.disk.formats.aws import AwsParams
from bootsmith.tasks.disk.formats.image import ImageParams
from bootsmith.tasks.disk.formats.packed import PackedParams
from bootsmith.tasks.disk.growth import GrowthParams
from bootsmith.tasks.disk.qemu_img import PASSPHRASE, Qcow2Params
from bootsmith.tasks.planning.stages import extraction
from bootsmith.tasks.planning.stages.assemble import raw_disk
from bootsmith.tasks.recipe.loaders.kinds import served
from bootsmith.tasks.recipe.model import outputs as model
from bootsmith.tasks.recipe.values.units import show_size
from bootsmith.tasks.tree.packing import packing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any, TypeAlias

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe

    _Image: TypeAlias = model.Vhd | model.Azure | model.Vhdx | model.Vdi | model.Vmdk
    _Appliance: TypeAlias = model.Ova | model.Ovf | model.Box


def stages(recipe: Recipe, site: Site) -> tuple[Stage, ...]:
    """Return the stages that convert a recipe's raw disk; several outputs of one kind are numbered."""
    found: list[Stage] = []
    counts: dict[str, int] = {}
    for output in recipe.outputs:
        make = KINDS.get(type(output))
        if make is None or site.output(output.file) == raw_disk(recipe, site):
            continue
        counts[output.kind] = counts.get(output.kind, 0) + 1
        number = "" if counts[output.kind] == 1 else f"-{counts[output.kind]}"
        made = make(f"convert/{output.kind}{number}", output, recipe, site)
        if isinstance(output, (model.Disk, model.DiskFile)) and output.size:
            grown = _grown(output.size, recipe, site)
            found += [grown] if grown not in found else []
            made = made._replace(inputs={**made.inputs, "disk": grown.outputs["grown"]})
        found.append(made)
    return tuple(found)


def _grown(size: int, recipe: Recipe, site: Site) -> Stage:
    """Return the stage that makes the disk so large, for what is to hold it so."""
    shown = show_size(size)
    return Stage(
        f"convert/grow-{shown}",
        "bootsmith.tasks.disk.growth:run",
        {"disk": raw_disk(recipe, site)},
        {"grown": site.build / f"convert/disk-{shown}.raw"},
        GrowthParams(size, site.epoch).to_json(),
        ("resize2fs", "e2fsck"),
        doc=f"the disk, grown to {shown}",
    )


def _raw(name: str, output: model.Raw, recipe: Recipe, site: Site) -> Stage:
    packed = output.compress != "none"  # else it is another beside that which all is made of
    return Stage(
        name,
        "bootsmith.tasks.disk.formats.packed:run",
        {"disk": raw_disk(recipe, site)},
        _files(("image", "map"), output, site),
        PackedParams(output.compress).to_json(),
        (*packing(output.compress)[:1], "dumpe2fs") if packed else (),
        stored=packed,
        doc=f"the disk, packed, and a map of it: {output.file}" if packed else f"the disk again: {output.file}",
    )


def _qcow2(name: str, output: model.Qcow2, recipe: Recipe, site: Site) -> Stage:
    image = site.output(output.file)
    backing = extraction.path(output.backing, recipe, site) if output.backing else None
    return Stage(
        name=name,
        run="bootsmith.tasks.disk.qemu_img:run_qcow2",
        inputs={"disk": raw_disk(recipe, site), **({"backing": backing} if backing else {})},
        outputs={"image": image},
        params=Qcow2Params(
            options=qcow2_options(output),
            compress=output.compress != "none",
            backing=(str(output.backing_format), os.path.relpath(backing, image.parent)) if backing else None,
            encrypt=output.encrypt is not None,
            snapshot=(output.snapshot, site.epoch) if output.snapshot else None,
        ).to_json(),
        tools=("qemu-img",),
        secrets={PASSPHRASE: output.encrypt} if output.encrypt else {},
        # Encryption is salted: only the store can give the same bytes again.
        stored=output.encrypt is not None,
        # What is packed can be made of the clusters of before.
        carry="image" if output.compress != "none" and not backing else None,
        doc=f"the disk as qcow2: {output.file}",
    )


def qcow2_options(output: model.Qcow2) -> tuple[str, ...]:
    """Return what qemu-img's `-o` says for an output, one option each."""
    options = [f"compat={output.compat}", f"cluster_size={output.cluster}"]
    if output.compat != "0.10":
        options.append(f"lazy_refcounts={'on' if output.lazy_refcounts else 'off'}")
        if output.compress != "none":
            options.append(f"compression_type={output.compress}")
    if output.compress == "none":
        options.append(f"preallocation={output.preallocation}")
    if output.encrypt:
        options += ["encrypt.format=luks", "encrypt.key-secret=passphrase"]
    return tuple(options)


def _image(name: str, output: _Image, recipe: Recipe, site: Site) -> Stage:
    """Return the stage of a format that our own code writes, about as fast as the disk could be had from the store."""
    run, what = _IMAGES[type(output)]
    subformat = "azure" if isinstance(output, model.Azure) else output.subformat
    packed = subformat == "streamOptimized"
    return Stage(
        name,
        run,
        {"disk": raw_disk(recipe, site)},
        _files(("image", "extent"), output, site),
        _params(output, subformat, recipe, site).to_json(),
        ("qemu-img",) if packed else (),
        stored=packed,
        doc=f"the disk as {what}: {output.file}",
    )


def _gcp(name: str, output: model.Gcp, recipe: Recipe, site: Site) -> Stage:
    return Stage(
        name,
        "bootsmith.tasks.disk.formats.gcp:run",
        {"disk": raw_disk(recipe, site)},
        {"image": site.output(output.file)},
        _params(output, "", recipe, site).to_json(),
        ("gzip",),
        doc=f"the disk as Google's cloud imports it: {output.file}",
    )


def _aws(name: str, output: model.Aws, recipe: Recipe, site: Site) -> Stage:
    return Stage(
        name,
        "bootsmith.tasks.disk.formats.aws:run",
        {"disk": raw_disk(recipe, site)},
        _files(("image", "request"), output, site),
        AwsParams(
            _params(output, "streamOptimized", recipe, site),
            bucket=output.bucket,
            key=output.file,
            description=recipe.description or recipe.name,
            architecture={"amd64": "x86_64", "i386": "i386"}[recipe.arch],
            boot_mode="uefi" if "uefi" in _firmware(recipe) else "legacy-bios",
        ).to_json(),
        ("qemu-img",),
        doc=f"the disk as Amazon's cloud imports it: {output.file}",
    )


def _appliance(name: str, output: model.Ova | model.Ovf | model.Box, recipe: Recipe, site: Site) -> Stage:
    """Return the stage of a disk with a machine around it."""
    run, what = _APPLIANCES[type(output)]
    machine = recipe.machine
    return Stage(
        name,
        run,
        {"disk": raw_disk(recipe, site)},
        _files(("image", "disk", "manifest"), output, site),
        ApplianceParams(
            _params(output, "streamOptimized", recipe, site),
            name=recipe.name,
            version=recipe.version,
            description=recipe.description,
            system=output.os,
            bits=64 if recipe.arch == "amd64" else 32,
            cpus=machine.cpus,
            memory=machine.memory,
            drive=machine.drive,
            nic=machine.nic,
            uefi=_firmware(recipe)[:1] == ["uefi"],
            provider=output.provider if isinstance(output, model.Box) else "",
        ).to_json(),
        ("qemu-img", "gzip") if isinstance(output, model.Box) else ("qemu-img",),
        doc=f"{what}: {output.file}",
    )


def _firmware(recipe: Recipe) -> list[str]:
    """Return what the machine is started by: what the recipe says, else what its loaders are for."""
    asked = recipe.machine.firmware
    return [*served(recipe.boot.loader)] if asked == "auto" else [asked]


def _files(roles: tuple[str, ...], output: model.OutputSpec, site: Site) -> dict[str, Path]:
    """Return where an output's files are made, each with its role; the last of them only some have."""
    return dict(zip(roles, map(site.output, output.files), strict=False))


def _params(output: model.OutputSpec, subformat: str, recipe: Recipe, site: Site) -> ImageParams:
    """Return what all formats take; whoever has several of one disk has several images."""
    return ImageParams(subformat, f"{recipe.disk.id}/{output.file}", site.epoch)


_IMAGES: Mapping[type[_Image], tuple[str, str]] = {
    model.Vhd: ("bootsmith.tasks.disk.formats.vhd:run", "VHD"),
    model.Azure: ("bootsmith.tasks.disk.formats.vhd:run", "VHD for Azure"),
    model.Vhdx: ("bootsmith.tasks.disk.formats.vhdx:run", "VHDX"),
    model.Vdi: ("bootsmith.tasks.disk.formats.vdi:run", "VDI"),
    model.Vmdk: ("bootsmith.tasks.disk.formats.vmdk:run", "VMDK"),
}
"""A format that our own code writes: what runs, and what it is called."""
_APPLIANCES: Mapping[type[_Appliance], tuple[str, str]] = {
    model.Ova: ("bootsmith.tasks.disk.formats.ova:run", "the machine as OVA"),
    model.Ovf: ("bootsmith.tasks.disk.formats.ovf:run", "the machine as OVF"),
    model.Box: ("bootsmith.tasks.disk.formats.box:run", "a box for Vagrant"),
}
"""A disk with a machine around it: what runs, and what it is called."""
KINDS: Mapping[type[model.OutputSpec], Callable[[str, Any, Recipe, Site], Stage]] = {
    model.Raw: _raw,
    model.Qcow2: _qcow2,
    **dict.fromkeys(_IMAGES, _image),
    model.Gcp: _gcp,
    model.Aws: _aws,
    **dict.fromkeys(_APPLIANCES, _appliance),
}
"""A format's output, and what makes its stage, of a name: the raw disk is the recipe's."""
