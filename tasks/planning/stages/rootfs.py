"""The stage `rootfs`: the base layer, from whatever a recipe names as its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import NOTHING, Stage
from bootsmith.tasks.inspection.disk_tree import DiskTreeParams
from bootsmith.tasks.packages import bootstrap, request, tree_lock
from bootsmith.tasks.packages import lock_parts as parts
from bootsmith.tasks.packages.arch import bootstrap as arch
from bootsmith.tasks.packages.arch import mirror
from bootsmith.tasks.packages.fedora import bootstrap as fedora
from bootsmith.tasks.packages.fedora import mirror as fedora_mirror
from bootsmith.tasks.packages.tree_lock import TreeLockParams
from bootsmith.tasks.planning import layer_stack, spread
from bootsmith.tasks.planning.stages import tree_outputs
from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.model.source import (
    Arch,
    Container,
    Debian,
    Directory,
    Disk,
    Erofs,
    Fedora,
    Oci,
    OtherRecipe,
    Squashfs,
    Tar,
)
from bootsmith.tasks.tree import archive, build_context, lz4, ownership
from bootsmith.tasks.tree.build_context import BuildContextParams
from bootsmith.tasks.tree.container_build import TOOLS as ENGINE
from bootsmith.tasks.tree.container_build import ContainerBuildParams
from bootsmith.tasks.tree.container_image import ContainerImageParams
from bootsmith.tasks.tree.directory import DirectoryParams, EmptyParams

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def lock_parts(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stage that parts the lock file, where layers have packages of their own."""
    if tree_packages.wanted(recipe):
        return _on_tree(recipe, site)
    if not layer_stack.parted(recipe):
        return []
    layers = {f"{parts.LAYER}{spec.name}": site.layer_lock(spec.name) for spec in request.layers(recipe)}
    return [
        Stage(
            "rootfs/lock",
            "bootsmith.tasks.packages.lock_parts:run",
            {"lock": site.lock},
            {parts.BASE: site.base_lock, **layers},
            listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
            doc="the lock file, what each part of the tree is made of by itself",
        )
    ]


def _on_tree(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stages that tell what a tree has, and part the lock of what is put on top of it."""
    parts = {f"{tree_lock.LAYER}{spec.name}": site.layer_lock(spec.name) for spec in request.layers_on_tree(recipe)}
    return [
        Stage(
            "rootfs/status",
            "bootsmith.tasks.packages.tree_records:run",
            layer_stack.inputs((site.base,), tars=True),
            {"status": site.base_status},
            doc="what the tree says that is installed in it",
        ),
        Stage(
            "rootfs/lock",
            "bootsmith.tasks.packages.tree_lock:run",
            {"lock": site.lock, tree_lock.STATUS: site.base_status},
            parts,
            TreeLockParams(request.on_tree(recipe), tree_packages.adds_kernel(recipe)).to_json(),
            listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
            settles="lock",
            doc="the lock file, what each layer of packages is made of by itself",
        ),
    ]


def context(recipe: Recipe, site: Site) -> list[Stage]:
    """Return the stage that packs what a Containerfile takes files from, where one is the source."""
    source = recipe.source
    if not isinstance(source, Container):
        return []
    files, params = {build_context.FOLDER: source.folder}, BuildContextParams(site.epoch, {}, {})
    written = spread.written(recipe, site.builds)
    if any(spread.holds(source.folder, each) for each in written):
        found = spread.spread(source.folder, *written)
        files = {f"{build_context.INSIDE}{inside}": path for inside, path in found.paths.items()}
        params = BuildContextParams(site.epoch, found.modes, found.links)
    return [
        Stage(
            "rootfs/context",
            "bootsmith.tasks.tree.build_context:run",
            files,
            {"tar": site.build_context},
            params.to_json(),
            stored=False,
            doc="what the Containerfile may take files from, but for those that are ignored",
        )
    ]


def stage(recipe: Recipe, site: Site) -> Stage:
    """Return the stage that makes the base layer."""
    match recipe.source:
        case Debian() as source:
            made = _installed(source, recipe, site)
        case Arch() as source:
            made = _of_arch(source, site)
        case Fedora() as source:
            made = _of_fedora(source, site)
        case Directory() as source:
            made = _packed(source, site)
        case Tar() as source:
            made = _unpacked(source, site)
        case Oci() as source:
            made = _of_image(source, recipe, site)
        case Erofs() | Squashfs() | Disk() as source:
            made = _read(source, site)
        case Container() as source:
            made = _built(source, recipe, site)
        case OtherRecipe() as source:
            made = _finished(source, recipe, site)
        case _:
            made = _empty(site)
    return made


def _empty(site: Site) -> Stage:
    return Stage(
        "rootfs",
        "bootsmith.tasks.tree.directory:make_empty",
        {},
        {"tar": site.base.tar, "index": site.base.index},
        EmptyParams(site.epoch).to_json(),
        doc="an empty base tree, as a tar",
    )


def _installed(source: Debian, recipe: Recipe, site: Site) -> Stage:
    return Stage(
        "rootfs",
        "bootsmith.tasks.packages.bootstrap:run",
        {"lock": site.base_lock if layer_stack.parted(recipe) else site.lock},
        {"tar": site.base.tar, "index": site.base.index},
        bootstrap.DebianParams(site.epoch, source.docs).to_json(),
        bootstrap.TOOLS,
        listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
        hints=request.hints(recipe),
        fetcher=request.FETCHER,
        doc="base tree, as a tar",
    )


def _of_arch(source: Arch, site: Site) -> Stage:
    return Stage(
        "rootfs",
        "bootsmith.tasks.packages.arch.bootstrap:run",
        {"lock": site.lock},
        {"tar": site.base.tar, "index": site.base.index},
        arch.ArchParams(site.epoch).to_json(),
        arch.TOOLS,
        listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
        hints=mirror.hints(source),
        fetcher=mirror.FETCHER,
        doc="base tree, as a tar",
    )


def _of_fedora(source: Fedora, site: Site) -> Stage:
    return Stage(
        "rootfs",
        "bootsmith.tasks.packages.fedora.bootstrap:run",
        {"lock": site.lock},
        {"tar": site.base.tar, "index": site.base.index},
        fedora.FedoraParams(site.epoch).to_json(),
        fedora.TOOLS,
        listings={"lock": "bootsmith.tasks.packages.lockfile:versions"},
        hints=fedora_mirror.hints(source),
        fetcher=fedora_mirror.FETCHER,
        doc="base tree, as a tar",
    )


def _packed(source: Directory, site: Site) -> Stage:
    facts = ownership.facts(source.path) if "keep" in (source.owner, source.times) else None
    owners = facts.owners if facts and source.owner == "keep" else None
    times = facts.times if facts and source.times == "keep" else None
    return Stage(
        "rootfs",
        "bootsmith.tasks.tree.directory:pack",
        {"directory": source.path},
        {"tar": site.base.tar, "index": site.base.index},
        DirectoryParams(site.epoch, owners, source.modes, times).to_json(),
        doc="base tree, as a tar",
    )


def _unpacked(source: Tar, site: Site) -> Stage:
    return Stage(
        "rootfs",
        "bootsmith.tasks.tree.archive:take",
        {"file": source.file},
        {"tar": site.base.tar, "index": site.base.index},
        archive.TarParams(source.subdir, source.strip).to_json(),
        tools=archive.PACKERS,
        doc="base tree, as a tar",
    )


def _of_image(source: Oci, recipe: Recipe, site: Site) -> Stage:
    return Stage(
        "rootfs",
        "bootsmith.tasks.tree.container_image:take",
        {"file": source.file},
        {"tar": site.base.tar, "index": site.base.index},
        ContainerImageParams(recipe.arch).to_json(),
        tools=archive.PACKERS,
        doc="base tree, as a tar",
    )


def _read(source: Erofs | Squashfs | Disk, site: Site) -> Stage:
    tools: tuple[str, ...]
    match source:
        case Erofs():
            run, params, tools = "bootsmith.tasks.tree.erofs_image:take", NOTHING, (lz4.LIBRARY,)
        case Squashfs():
            run, params, tools = "bootsmith.tasks.disk.squashfs_tree:take", NOTHING, ()
        case _:
            run, tools = "bootsmith.tasks.inspection.disk_tree:take", ("qemu-img", lz4.LIBRARY)
            params = DiskTreeParams(source.partition).to_json()
    outputs = {"tar": site.base.tar, "index": site.base.index}
    return Stage(
        "rootfs", run, {"file": source.file}, outputs, params, tools, doc="the tree out of the image, as a tar"
    )


def _finished(source: OtherRecipe, recipe: Recipe, site: Site) -> Stage:
    other = recipe.others[source.file]
    inputs, params = tree_outputs.finished(other, site.others[source.file])
    return Stage(
        "rootfs",
        "bootsmith.tasks.tree.recipe_tree:take",
        inputs,
        {"tar": site.base.tar, "index": site.base.index},
        params.to_json(),
        doc=f"the finished tree of {other.name}, as a tar",
    )


def _built(source: Container, recipe: Recipe, site: Site) -> Stage:
    images = {f"image/{number}": file for number, file in enumerate(source.images.values())}
    return Stage(
        "rootfs",
        "bootsmith.tasks.tree.container_build:run",
        {"file": source.file, "context": site.build_context, **images},
        {"tar": site.base.tar, "index": site.base.index},
        ContainerBuildParams(
            site.epoch,
            recipe.arch,
            source.target,
            source.args,
            tuple(source.images),
            source.subdir,
            source.network,
        ).to_json(),
        tools=ENGINE,
        doc="the tree that the Containerfile builds, as a tar",
    )
