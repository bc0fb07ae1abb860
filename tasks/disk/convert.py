"""The stages `convert/...`: other formats of the raw disk, made by qemu-img."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bootsmith.tasks.disk.assemble import raw_disk
from bootsmith.tasks.recipe.model import Qcow2
from bootsmith.tasks.stage import Context, Stage

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model import Recipe
    from bootsmith.tasks.site import Site


def stages(recipe: Recipe, site: Site) -> tuple[Stage, ...]:
    """Return the stages that convert a recipe's raw disk; several outputs of one format are numbered."""
    found: list[Stage] = []
    for output in recipe.outputs:
        if isinstance(output, Qcow2):
            number = sum(stage.name.startswith("convert/qcow2") for stage in found) + 1
            found.append(
                Stage(
                    name="convert/qcow2" if number == 1 else f"convert/qcow2-{number}",
                    run="bootsmith.tasks.disk.convert:run_qcow2",
                    inputs={"disk": raw_disk(recipe, site)},
                    outputs={"image": site.output(output.file)},
                    params={"options": list(qcow2_options(output)), "compress": output.compress != "none"},
                    tools=("qemu-img",),
                    stored=False,
                    doc=f"the disk as qcow2: {output.file}",
                )
            )
    return tuple(found)


def qcow2_options(output: Qcow2) -> tuple[str, ...]:
    """Return what qemu-img's `-o` says for an output, one option each."""
    options = [f"compat={output.compat}", f"cluster_size={output.cluster}"]
    if output.compat != "0.10":
        options.append(f"lazy_refcounts={'on' if output.lazy_refcounts else 'off'}")
        if output.compress != "none":
            options.append(f"compression_type={output.compress}")
    if output.compress == "none":
        options.append(f"preallocation={output.preallocation}")
    return tuple(options)


def run_qcow2(ctx: Context) -> None:
    """Convert the disk. Never with -W, which writes clusters as they come, each time in another order."""
    options = ",".join(cast("list[str]", ctx.params["options"]))
    ctx.run(
        "qemu-img", "convert", "-f", "raw", "-O", "qcow2", *(["-c"] if ctx.params["compress"] else []),
        "-o", options, ctx.inputs["disk"], ctx.outputs["image"],
    )  # fmt: skip
