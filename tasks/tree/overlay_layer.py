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
from bootsmith.tasks.tree.merged import tree_below


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
    with host_files.steady(top), Delta(ctx, tree_below(ctx), "overlay", params.epoch) as delta:
        delta.make_directory(to)
        for path, file, status in host_files.below(top, excluded):
            target = f"{to}/{path}"
            if stat.S_ISLNK(status.st_mode):
                delta.add_link(target, os.readlink(file))  # noqa: PTH115  any bytes, as they are
            elif stat.S_ISDIR(status.st_mode):
                delta.make_directory(target)
            elif stat.S_ISREG(status.st_mode):
                delta.add_file(target, file, 0o755 if status.st_mode & 0o111 else 0o644)
            else:
                raise StageError(f"{shown(file)} is no file, folder or link", "Remove it, or exclude it.")
