"""The stages `convert/...`: other formats of the raw disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bootsmith.tasks.build.stage import Stage
from bootsmith.tasks.disk.qemu_img import PASSPHRASE, Qcow2Params
from bootsmith.tasks.planning.stages import extraction
from bootsmith.tasks.planning.stages.assemble import raw_disk
from bootsmith.tasks.recipe.model import Qcow2

if TYPE_CHECKING:
    from bootsmith.tasks.planning.site import Site
    from bootsmith.tasks.recipe.model import Recipe


def stages(recipe: Recipe, site: Site) -> tuple[Stage, ...]:
    """Return the stages that convert a recipe's raw disk; several outputs of one format are numbered."""
    found: list[Stage] = []
    for output in recipe.outputs:
        if isinstance(output, Qcow2):
            number = sum(stage.name.startswith("convert/qcow2") for stage in found) + 1
            name = "convert/qcow2" if number == 1 else f"convert/qcow2-{number}"
            found.append(_stage(name, output, recipe, site))
    return tuple(found)


def _stage(name: str, output: Qcow2, recipe: Recipe, site: Site) -> Stage:
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
        doc=f"the disk as qcow2: {output.file}",
    )


def qcow2_options(output: Qcow2) -> tuple[str, ...]:
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
