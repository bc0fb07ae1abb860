"""The finished tree of a recipe, as the tree that another begins with."""

from __future__ import annotations

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree import finished_tree, foreign_tar, merged_tar
from bootsmith.tasks.tree.finished_tree import TreeParams


def take(ctx: Context) -> None:
    """Write the tree as one tar."""
    tree = finished_tree.gather(ctx, TreeParams.of(ctx))
    merged_tar.write(ctx.outputs["tar"], merged_tar.members(tree.entries), tree.sources)
    foreign_tar.index(ctx.outputs["tar"], ctx.outputs["index"])
