"""The output `tar`: the finished tree as one tar, packed or not."""

from __future__ import annotations

from dataclasses import dataclass

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import finished_tree, merged_tar
from bootsmith.tasks.tree.finished_tree import TreeParams
from bootsmith.tasks.tree.packing import packing


@dataclass(frozen=True)
class TreeArchiveParams(TreeParams):
    """How it is packed: a name in `packing.PACK`, or "none"."""

    compress: str


def run(ctx: Context) -> None:
    """Write the tree, then pack it."""
    params = TreeArchiveParams.of(ctx)
    tree = finished_tree.gather(ctx, params)
    packed = params.compress != "none"
    tar = ctx.work / "tree.tar" if packed else ctx.outputs["archive"]
    merged_tar.write(tar, merged_tar.members(tree.entries), tree.sources)
    if packed:
        ctx.say(f"packing {tar.stat().st_size} bytes by {params.compress}")
        ctx.run(*packing(params.compress), input=tar, stdout=ctx.outputs["archive"])
