"""An overlay: a folder of the host's, laid over the tree as a layer."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from bootsmith.cache.display import shown
from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import host_files, patterns
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.layer_patch import LayerPatch
from bootsmith.tasks.tree.merged import Tree, tree_below


@dataclass(frozen=True)
class OverlayParams(Params):
    """Where a folder is laid, and what of it is left out."""

    epoch: int
    to: str
    exclude: tuple[str, ...]


def run(ctx: Context) -> None:
    """Lay a folder over the tree: all root's, 0755 or 0644 by the exec bit; links and empty folders as they are."""
    params = OverlayParams.of(ctx)
    top, to = ctx.inputs["overlay"], params.to
    excluded = patterns.excluder(params.exclude) if params.exclude else None
    if not top.is_dir():
        raise StageError(f"the overlay {shown(top)} is not a folder", "Let the recipe name a folder.")
    tree = tree_below(ctx)
    known = ctx.previous_index() if ctx.previous else None
    patch, same = _patch(ctx, params, tree)
    with host_files.steady(top), Delta(ctx, tree, "overlay", params.epoch, patch) as delta:
        delta.make_directory(to)
        if patch and "" in same:
            patch.keep(_place(to))
        for path, file, status in host_files.below(top, excluded, same):
            target = f"{to}/{path}"
            if stat.S_ISLNK(status.st_mode):
                delta.add_link(target, os.readlink(file))  # noqa: PTH115  any bytes, as they are
            elif stat.S_ISDIR(status.st_mode):
                delta.make_directory(target)
                if patch and path in same:
                    patch.keep(_place(target))
            elif stat.S_ISREG(status.st_mode):
                delta.add_file(target, file, 0o755 if status.st_mode & 0o111 else 0o644)
            else:
                raise StageError(f"{shown(file)} is no file, folder or link", "Remove it, or exclude it.")
    if known and patch and patch.written is not None:
        with ctx.outputs["tar"].open("rb") as tar:
            ctx.claim("tar", known.reread(tar.fileno(), patch.written))


def _patch(ctx: Context, params: OverlayParams, tree: Tree) -> tuple[LayerPatch | None, set[str]]:
    """Return what makes the layer of the previous one, and the folders that hold what they held; nothing else changed.

    None where that is not certain, or where links in the tree lead a folder's files to another place.
    """
    folders, known = ctx.folders("overlay"), ctx.beside("index")
    if ctx.previous is None or folders is None or known is None:
        return None, set()
    if not all(ctx.stays(role) for role in ctx.inputs if role != "overlay"):
        return None, set()
    targets = (f"{params.to}/{path}" for path in folders.before.keys() | folders.now.keys())
    if any(tree.resolve(target) != _place(target) for target in targets):
        return None, set()
    made = LayerPatch(ctx.outputs["tar"], ctx.outputs["index"], params.epoch, ctx.previous, known)
    return made, folders.same()


def _place(path: str) -> str:
    """Return the path in a tree that a target names, where no link is on the way."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))
