"""The stages `convert/kernel` and `convert/initramfs`: the outputs that are no disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.planning.stages import initrd
from bootsmith.tasks.recipe import boot_files
from bootsmith.tasks.recipe.model.outputs import InitramfsOutput, KernelOutput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model.recipe import Recipe


def stages(recipe: Recipe, site: Site) -> Iterator[Stage]:
    """Yield a stage for each such output, which is the default entry's; several of one kind are numbered."""
    counts: dict[str, int] = {}
    entry = recipe.boot.entries[recipe.boot.default]
    kernel, ramdisk = boot_files.kernel_of(recipe.boot, entry), boot_files.initrd_of(recipe.boot, entry) or ""
    for output in recipe.outputs:
        if not isinstance(output, KernelOutput | InitramfsOutput):
            continue
        kind = "kernel" if isinstance(output, KernelOutput) else "initramfs"
        counts[kind] = counts.get(kind, 0) + 1
        name = f"convert/{kind}" + (f"-{counts[kind]}" if counts[kind] > 1 else "")
        target = site.output(output.file)
        if isinstance(output, KernelOutput):
            yield _copy(name, site.kernel_for(kernel), target, f"the kernel: {output.file}")
        elif output.compress in (None, "gzip"):  # as the initrd is anyway
            yield _copy(name, site.initrd_for(ramdisk), target, f"the initrd: {output.file}")
        else:
            yield initrd.compressed(name, str(output.compress), site, target, f"the initrd: {output.file}")


def _copy(name: str, source: Path, target: Path, doc: str) -> Stage:
    run = "bootsmith.tasks.tree.exported_file:run"
    return Stage(name, run, {"file": source}, {"copy": target}, stored=False, doc=doc)
