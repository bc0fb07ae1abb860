"""What the disk of some loaders usually is: its table, its partitions, and where kernels stand on it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bootsmith.tasks.recipe.loaders.kinds import KINDS, readers
from bootsmith.tasks.recipe.loaders.partitions import active, esp, kernels, types

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.loaders.builtin import LoaderKind
    from bootsmith.tasks.recipe.model.disk import Disk
    from bootsmith.tasks.recipe.text.nodes import Raw


def common_tables(loaders: Sequence[str]) -> list[str]:
    """Return the tables on which all of some loaders can live, the most usual first; with a tie, GPT."""
    kinds = [KINDS[name] for name in loaders]
    ranks = {table: 0 for table in kinds[0].layouts if all(table in kind.layouts for kind in kinds)}
    for kind in kinds:
        for rank, table in enumerate(kind.layouts):
            if table in ranks:
                ranks[table] += rank
    return sorted(ranks, key=lambda table: (ranks[table], table != "gpt"))


def usual_table(loaders: Sequence[str]) -> str:
    """Return the table a disk with these loaders has; where they have none in common, the first one's."""
    return next(iter(common_tables(loaders) or KINDS[loaders[0]].layouts))


def usual_layout(loaders: Sequence[str], table: str, initrd: str = "auto") -> dict[str, Raw]:
    """Return the partitions a disk with these loaders has, for a recipe that writes none.

    Where the whole tree is the initrd there is no root, unless a loader looks for kernels on it.
    """
    found: dict[str, Raw] = {}
    for name in loaders:
        found |= KINDS[name].layouts.get(table) or next(iter(KINDS[name].layouts.values()))
    if "esp" in found:
        found.pop("boot", None)  # one FAT partition serves both firmwares
    if initrd == "tree" and not any("root" in KINDS[name].places and not KINDS[name].types for name in loaders):
        found.pop("root", None)
    order = {"bios-boot": 0, "root": 2}
    return dict(sorted(found.items(), key=lambda each: order.get(each[0], 1)))


def usual_place(loaders: Sequence[str], disk: Disk) -> str:
    """Return where kernels stand: the first place from which all loaders of a disk read them."""
    same = active(disk) is not None and active(disk) is esp(disk)
    wishes = []
    for name in readers(loaders):
        kind = KINDS[name]
        places = [
            "esp" if same and place == "active" else place for place in kind.places if _looked_on(kind, disk, place)
        ]
        part = kernels(disk, "root")
        wishes.append(sorted(places, key=lambda place: not (place == "root" and part and part.type == "xbootldr")))
    shared = [place for wish in wishes for place in wish if all(place in other for other in wishes)]
    return next(iter([*shared, *(place for wish in wishes for place in wish)]), "none")


def _looked_on(kind: LoaderKind, disk: Disk, place: str) -> bool:
    """Tell whether a loader looks for kernels there; a partition that is missing is for the checks to tell."""
    part = kernels(disk, place)
    return part is None or not kind.types or part.type in types(kind, disk.table)
