"""The stages `populate/...`: one filesystem per partition, and the pristine base of the root filesystem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bootsmith.tasks.boot import ldlinux, syslinux
from bootsmith.tasks.boot.ldlinux import LdlinuxParams
from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import erofs, squashfs
from bootsmith.tasks.disk.btrfs import volume as btrfs
from bootsmith.tasks.disk.btrfs.volume import BtrfsParams
from bootsmith.tasks.disk.filesystems import FilesystemParams
from bootsmith.tasks.disk.luks import volume as luks
from bootsmith.tasks.disk.luks.volume import LuksParams
from bootsmith.tasks.disk.packed_filesystem import PackedErofsParams, PackedFilesystemParams
from bootsmith.tasks.disk.sizing import ExtForm
from bootsmith.tasks.disk.swap import SwapParams
from bootsmith.tasks.disk.verity.tree import HashTreeParams
from bootsmith.tasks.planning import disk_inputs
from bootsmith.tasks.planning import placement as places
from bootsmith.tasks.planning.stages import extraction
from bootsmith.tasks.recipe.completion.identifiers import salt
from bootsmith.tasks.recipe.loaders import partitions
from bootsmith.tasks.recipe.model.disk import HASH_TREE

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.disk import Encryption, Partition
    from bootsmith.tasks.recipe.model.recipe import Recipe


_RUN = "bootsmith.tasks.disk.filesystems:"
_PACK = "bootsmith.tasks.disk.packed_filesystem:"
_FAT_TOOLS = ("mkfs.vfat", "mcopy", "mmd")


def stages(recipe: Recipe, site: Site) -> tuple[Stage, ...]:
    """Return the stages that fill a recipe's partitions; those without a filesystem have none."""
    return tuple(_stages(recipe, site))


def _stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    for name, partition in recipe.disk.partitions.items():
        if partition.fs == "none":
            continue
        if partition.encrypt:
            yield _encryption(partition, partition.encrypt, site)
        if partition.fs == HASH_TREE:
            yield _hash_tree(recipe, partition, site)
            continue
        if partition.packed:
            yield _packed(recipe, partition, site)
            continue
        if partition.fs == "swap":
            yield _swap(partition, site)
            continue
        if partition.fs == "btrfs":
            yield _btrfs(recipe, partition, site)
            continue
        if partition.mount == "/":
            yield _base(recipe, partition, site)
        is_root = partition.mount == "/"
        yield Stage(
            name=f"populate/{name}",
            run=_run(recipe, partition),
            inputs=_inputs(recipe, partition, site),
            outputs={"image": site.partition_image(name)},
            params=_params(recipe, partition, site).to_json(),
            tools=_tools(recipe, partition),
            stored=not is_root and partition.fs != "vfat",  # quicker to make again: the root is stored as its base
            carry="image" if is_root else None,
            doc=f"the filesystem of {name}",
        )


def image(recipe: Recipe, partition: Partition, site: Site) -> Path | None:
    """Return what goes into a partition's place, None where nothing does."""
    if partition.fs == "none":
        return extraction.path(partition.content, recipe, site) if partition.content else None
    return site.volume_image(partition.name) if partition.encrypt else site.partition_image(partition.name)


def _hash_tree(recipe: Recipe, partition: Partition, site: Site) -> Stage:
    found = partitions.verity(recipe.disk)
    assert found, "a hash tree is refused without what it is of"
    return Stage(
        name=f"populate/{partition.name}",
        run="bootsmith.tasks.disk.verity.tree:run",
        inputs={"image": site.partition_image(found[0].name)},
        outputs={
            "image": site.partition_image(partition.name),
            "size": site.packed_size(partition.name),
            "roothash": site.root_hash(partition.name),
        },
        params=HashTreeParams(partition.uuid, salt(recipe.seed, partition.name)).to_json(),
        doc=f"the hash tree of {found[0].name}",
    )


def _swap(partition: Partition, site: Site) -> Stage:
    return Stage(
        name=f"populate/{partition.name}",
        run="bootsmith.tasks.disk.swap:run",
        inputs={"geometry": site.geometry(partition.name)},
        outputs={"image": site.partition_image(partition.name)},
        params=SwapParams(partition.name, partition.uuid, partition.label).to_json(),
        stored=False,  # at once made again
        doc=f"the swap of {partition.name}",
    )


def _encryption(partition: Partition, encryption: Encryption, site: Site) -> Stage:
    return Stage(
        name=f"encrypt/{partition.name}",
        run="bootsmith.tasks.disk.luks.volume:run",
        inputs={"image": site.partition_image(partition.name)},
        outputs={"image": site.volume_image(partition.name)},
        params=LuksParams(partition.name, encryption.luks, encryption.uuid, partition.label).to_json(),
        tools=luks.TOOLS,
        secrets={luks.SECRET: encryption.passphrase},
        stored=False,  # soon made again
        doc=f"the filesystem of {partition.name}, encrypted",
    )


def _packed(recipe: Recipe, partition: Partition, site: Site) -> Stage:
    params = PackedFilesystemParams(
        epoch=site.epoch,
        layers=disk_inputs.layers(recipe, site) if partition.mount else (),
        mounts=places.mounted(recipe.disk),
        kernels=places.placement(recipe) if _holds_kernels(recipe, partition.name) else None,
        partition=partition.name,
    )
    run, tools = "run_squashfs", tuple[str, ...](squashfs.TOOLS)
    if partition.fs == "erofs":
        run, params, tools = "run_erofs", PackedErofsParams(**vars(params), uuid=partition.uuid), erofs.TOOLS
    return Stage(
        name=f"populate/{partition.name}",
        run=_PACK + run,
        inputs=_inputs(recipe, partition, site),
        outputs={"image": site.partition_image(partition.name), "size": site.packed_size(partition.name)},
        params=params.to_json(),
        tools=tools,
        doc=f"the filesystem of {partition.name}, packed",
    )


def _btrfs(recipe: Recipe, partition: Partition, site: Site) -> Stage:
    return Stage(
        name=f"populate/{partition.name}",
        run="bootsmith.tasks.disk.btrfs.volume:run",
        inputs=_inputs(recipe, partition, site),
        outputs={"image": site.partition_image(partition.name)},
        params=BtrfsParams(
            epoch=site.epoch,
            layers=disk_inputs.layers(recipe, site) if partition.mount else (),
            mounts=places.mounted(recipe.disk),
            kernels=places.placement(recipe) if _holds_kernels(recipe, partition.name) else None,
            partition=partition.name,
            uuid=partition.uuid,
            label=partition.label,
            subvolumes=tuple(places.inside(recipe.disk, each) for each in partition.subvolumes),
        ).to_json(),
        tools=btrfs.TOOLS,
        doc=f"the filesystem of {partition.name}",
    )


def _run(recipe: Recipe, partition: Partition) -> str:
    if partition.fs != "vfat":
        return _RUN + ("run_root" if partition.mount == "/" else "run_ext")
    return "bootsmith.tasks.boot.ldlinux:run" if is_started(recipe, partition) else f"{_RUN}run_fat"


def _tools(recipe: Recipe, partition: Partition) -> tuple[str, ...]:
    if partition.fs != "vfat":
        return ("mke2fs",)
    return (*_FAT_TOOLS, *(ldlinux.INSTALLER if is_started(recipe, partition) else ()))


def _base(recipe: Recipe, partition: Partition, site: Site) -> Stage:
    return Stage(
        name="populate/base",
        run=_RUN + "run_ext",
        inputs={"geometry": site.geometry(partition.name), "base.tar": site.base.tar, "base.index": site.base.index},
        outputs={"image": site.base_image(partition.name)},
        params=_filesystem(recipe, partition, site, (site.base.name,), places.mounted(recipe.disk)).to_json(),
        tools=("mke2fs",),
        doc="the pristine root filesystem, of the base layer alone",
    )


def _inputs(recipe: Recipe, partition: Partition, site: Site) -> dict[str, Path]:
    found = {} if partition.packed else {"geometry": site.geometry(partition.name)}
    if partition.mount == "/" and not partition.packed and partition.fs != "btrfs":
        found["base"] = site.base_image(partition.name)
    if partition.mount is not None and partition.fs == "vfat":
        content = site.content(partition.name)
        found |= {f"{content.name}.index": content.index, f"{content.name}.tar": content.tar}
    elif partition.mount is not None:
        found |= disk_inputs.indexes(recipe, site) | disk_inputs.tars(recipe, site)
    holds_kernels = _holds_kernels(recipe, partition.name)
    if holds_kernels:
        found |= disk_inputs.kernels(recipe, site)
    if holds_kernels or partition.name in (places.esp(recipe.disk), places.active(recipe.disk)):
        found |= {"loader.tar": site.loader.tar, "loader.index": site.loader.index}
    return found


def _params(recipe: Recipe, partition: Partition, site: Site) -> FilesystemParams:
    kernels = places.placement(recipe) if _holds_kernels(recipe, partition.name) else None
    layers, mounts = disk_inputs.layers(recipe, site), places.mounted(recipe.disk)
    if partition.mount is None:
        layers = ()
    elif partition.fs == "vfat":
        layers, mounts = (site.content(partition.name).name,), {partition.name: "/"}
    found = replace(_filesystem(recipe, partition, site, layers, mounts), kernels=kernels)
    if is_started(recipe, partition):
        return LdlinuxParams(**vars(found), folder=syslinux.folder(partition.mount or ""))
    return found


def _holds_kernels(recipe: Recipe, name: str) -> bool:
    return places.placement(recipe).partition == name


def _filesystem(
    recipe: Recipe, partition: Partition, site: Site, layers: tuple[str, ...], mounts: Mapping[str, str]
) -> FilesystemParams:
    return FilesystemParams(
        epoch=site.epoch,
        layers=layers,
        mounts=mounts,
        kernels=None,
        partition=partition.name,
        fs=partition.fs,
        uuid=partition.uuid,
        label=partition.label,
        ext=ExtForm(partition.features, partition.inode_size, partition.reserved),
        mkfs=partition.mkfs,
        sector=recipe.disk.sector,
    )


def is_started(recipe: Recipe, partition: Partition) -> bool:
    """Tell whether a BIOS goes on with a partition's own first sector, into which SYSLINUX is to be put."""
    return "syslinux" in recipe.boot.loader and bool(partition.active or {"legacy-boot", 2} & {*partition.attributes})
