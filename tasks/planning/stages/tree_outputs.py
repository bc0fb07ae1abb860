"""The stages `convert/...` of outputs that are the finished tree: archives, bare filesystems, what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk import erofs, squashfs
from bootsmith.tasks.disk.tree_filesystem import TreeErofsParams, TreeExtParams, TreeSquashfsParams
from bootsmith.tasks.packages.sbom import SbomParams
from bootsmith.tasks.planning import layer_stack
from bootsmith.tasks.recipe import boot_files, tree_packages
from bootsmith.tasks.recipe.model import tree_outputs as model
from bootsmith.tasks.recipe.model.source import Debian
from bootsmith.tasks.tree import tree_directory
from bootsmith.tasks.tree.finished_tree import TreeParams
from bootsmith.tasks.tree.manifest import ManifestParams
from bootsmith.tasks.tree.oci_archive import OciParams
from bootsmith.tasks.tree.packing import packing
from bootsmith.tasks.tree.tree_archive import TreeArchiveParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bootsmith.tasks.build.parameters import Params
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


_FILESYSTEM: Final = "bootsmith.tasks.disk.tree_filesystem:"


class _Made(NamedTuple):
    """How an output is made: what runs, its parameters and tools, and the role of the file."""

    run: str
    params: Params
    role: str
    tools: tuple[str, ...]
    doc: str


def stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    """Yield a stage for each such output; several of one kind are numbered."""
    counts: dict[str, int] = {}
    for output in recipe.outputs:
        if not isinstance(output, model.KINDS):
            continue
        counts[output.kind] = counts.get(output.kind, 0) + 1
        number = "" if counts[output.kind] == 1 else f"-{counts[output.kind]}"
        made = _made(output, recipe, site)
        yield Stage(
            f"convert/{output.kind}{number}",
            made.run,
            _inputs(output, recipe, site),
            {made.role: site.output(output.file)},
            made.params.to_json(),
            made.tools,
            stored=made.tools not in ((), ("mke2fs",), tree_directory.TOOLS),  # made as soon as they could be restored
            folders=isinstance(output, model.DirectoryOutput),
            doc=f"{made.doc}: {output.file}",
        )


def finished(recipe: Recipe, site: Site) -> tuple[dict[str, Path], Params]:
    """Return the inputs and the parameters of a stage that gathers the finished tree."""
    return layer_stack.inputs(layer_stack.stack(recipe, site), tars=True) | _started(recipe, site), TreeParams(
        **_tree(recipe, site)
    )


def _inputs(output: model.TreeOutput, recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the layers, and what stands in /boot beside what they have there; of packages alone, their lock."""
    found = layer_stack.inputs(layer_stack.stack(recipe, site), tars=True)
    if isinstance(output, model.SbomOutput):
        return found | ({"lock": site.lock} if isinstance(recipe.source, Debian) else {})
    return found | _started(recipe, site)


def _started(recipe: Recipe, site: Site) -> dict[str, Path]:
    """Return the kernel and the initrd of the default entry, as far as the tree does not bring them."""
    entry = boot_files.default(recipe.boot)
    if entry is None or entry.kernel == "none":
        return {}
    kernel = boot_files.kernel_of(recipe.boot, entry)
    found = {"facts": site.kernel_facts_for(kernel)}
    if not isinstance(entry.kernel, str):
        found["kernel"] = site.kernel_for(kernel)
    initrd = boot_files.initrd_of(recipe.boot, entry)
    of_tree = entry.initrd == "tree" or (entry.initrd == "auto" and not tree_packages.makes_initrds(recipe))
    if initrd is not None and not of_tree:
        found["initrd"] = site.initrd_for(initrd)
    return found


def _tree(recipe: Recipe, site: Site) -> dict[str, Any]:
    """Return what `TreeParams` has."""
    entry = boot_files.default(recipe.boot)
    place = None if entry is None or isinstance(entry.kernel, str) else entry.kernel.path
    return vars(
        TreeParams(
            epoch=site.epoch,
            fstab=recipe.system != "none" and recipe.system.fstab != "none",
            kernel=place.strip("/") if place else None,
        )
    )


def _made(output: model.TreeOutput, recipe: Recipe, site: Site) -> _Made:
    tree: Mapping[str, Any] = _tree(recipe, site)
    match output:
        case model.TarOutput() | model.TgzOutput():
            how = output.compress
            params: Params = TreeArchiveParams(**tree, compress=how)
            return _Made(
                "bootsmith.tasks.tree.tree_archive:run", params, "archive", packing(how)[:1], "the tree as a tar"
            )
        case model.OciOutput():
            names = tuple(each.name for each in layer_stack.stack(recipe, site)) if output.layers == "each" else ()
            params = OciParams(
                **tree,
                compress=output.compress,
                layers=names,
                tag=output.tag,
                command=output.command,
                arch=recipe.arch,
            )
            tools = packing(output.compress)[:1]
            return _Made(
                "bootsmith.tasks.tree.oci_archive:run", params, "archive", tools, "the tree as a container image"
            )
        case model.DirectoryOutput():
            return _Made(
                "bootsmith.tasks.tree.tree_directory:run",
                TreeParams(**tree),
                "tree",
                tree_directory.TOOLS,
                "the tree as a folder",
            )
        case model.Ext4Output() | model.SquashfsOutput() | model.ErofsOutput():
            return _filesystem(output, tree)
        case model.ManifestOutput():
            params = ManifestParams(**tree, name=recipe.name, version=recipe.version, arch=recipe.arch)
            return _Made("bootsmith.tasks.tree.manifest:run", params, "manifest", (), "what is in the tree")
    params = SbomParams(site.epoch, output.format, recipe.name, recipe.version)
    return _Made("bootsmith.tasks.packages.sbom:run", params, "sbom", (), "the tree's packages")


def _filesystem(output: model.Ext4Output | model.SquashfsOutput | model.ErofsOutput, tree: Mapping[str, Any]) -> _Made:
    if isinstance(output, model.Ext4Output):
        params: Params = TreeExtParams(
            **tree, size=output.size, extra=output.extra, label=output.label, uuid=output.uuid
        )
        return _Made(f"{_FILESYSTEM}run_ext", params, "image", ("mke2fs",), "the tree as ext4")
    if isinstance(output, model.SquashfsOutput):
        params = TreeSquashfsParams(**tree, compress=output.compress)
        return _Made(f"{_FILESYSTEM}run_squashfs", params, "image", squashfs.TOOLS, "the tree as a squashfs")
    params = TreeErofsParams(**tree, compress=output.compress, uuid=output.uuid)
    return _Made(f"{_FILESYSTEM}run_erofs", params, "image", erofs.TOOLS, "the tree as an EROFS")
