"""The finished tree: what all layers come to, with the kernel and the initrd that start it in its /boot.

The recipe's own /etc/fstab names partitions of the recipe's disk. Here there is none, and a system that waited for them
would not come up: the file says so instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.tree.layer import folders_above
from bootsmith.tasks.tree.merged import tree_below
from bootsmith.tasks.tree.tar import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

FSTAB: Final = "etc/fstab"
_NO_FSTAB: Final = b"# this tree was made without a disk: whoever puts it on one says what is mounted\n"


@dataclass(frozen=True)
class TreeParams(Params):
    """When all that is added was made; `fstab` says that the tree's own is the recipe's, and not for here.

    `kernel` is where in the tree a kernel of the recipe's own stands, None where its version is to say.
    """

    epoch: int
    fstab: bool
    kernel: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The tree's entries with the numbers of the sources that have their data; `added` are those that no layer has."""

    entries: Mapping[str, tuple[int, Entry]]
    sources: tuple[Path, ...]
    added: tuple[str, ...]


def gather(ctx: Context, params: TreeParams) -> Finished:
    """Return the tree of the layers, the kernel and the initrd among the inputs."""
    tree = tree_below(ctx)
    entries, sources, added = dict(tree.entries), tree.tars, list[str]()

    def put(path: str, file: Path) -> None:
        place = tree.place(path)
        for above in folders_above(place):
            if above not in entries:
                entries[above] = (0, Entry(above, "d", 0o755, mtime=params.epoch))
                added.append(above)
        entries[place] = (len(sources), Entry(place, "f", 0o644, size=file.stat().st_size, mtime=params.epoch))
        sources.append(file)
        added.append(place)

    if params.fstab and tree.link(FSTAB) is not None:
        none = ctx.work / "fstab"
        none.write_bytes(_NO_FSTAB)
        put(FSTAB, none)
    if "facts" in ctx.inputs:
        facts = json.loads(ctx.inputs["facts"].read_bytes())
        if "kernel" in ctx.inputs:
            put(params.kernel or f"boot/vmlinuz-{facts['version']}", ctx.inputs["kernel"])
        if "initrd" in ctx.inputs:
            put(facts.get("initrd") or f"boot/initrd.img-{facts['version']}", ctx.inputs["initrd"])
    return Finished(entries, tuple(sources), tuple(dict.fromkeys(added)))
