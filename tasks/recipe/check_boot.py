"""What loaders ask of the rest of a recipe: each its table, its partitions, kernels it can read, and no rival."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bootsmith.tasks.recipe import loaders
from bootsmith.tasks.recipe.loaders import KINDS
from bootsmith.tasks.recipe.model import Recipe
from bootsmith.tasks.recipe.problems import Finding, KeyPath

PARTS: KeyPath = ("disk", "partitions")
GAP = 1 << 20  # bytes before the first partition in which GRUB lies on an MBR disk
_NEEDED = {
    "esp": "an ESP; write `esp: {size: 512M, mount: /boot/efi}` too",
    "bios-boot": "a place on a GPT disk; write `bios-boot: {type: bios-boot, size: 1M}` too",
}
_PLACES = {"esp": "the ESP", "active": "the active partition", "root": "the tree's /boot"}


def _rivals(recipe: Recipe) -> Iterable[Finding]:
    owners: dict[str, str] = {}
    for number, name in enumerate(recipe.boot.loader):
        for claim in KINDS[name].claims:
            if claim in owners:
                what = f"{owners[claim]} and {name} both want {claim}; keep one of them"
                yield ("boot", "loader", number), what
            owners.setdefault(claim, name)


def _tables(recipe: Recipe) -> Iterable[Finding]:
    for name in recipe.boot.loader:
        tables = list(KINDS[name].layouts)
        if recipe.disk.table not in tables:
            yield ("disk", "table"), f"{name} cannot live on {recipe.disk.table}; write {' or '.join(tables)}"


def _needs(recipe: Recipe) -> Iterable[Finding]:
    present = {part.type for part in recipe.disk.partitions.values()}
    for name in recipe.boot.loader:
        for keys in KINDS[name].layouts.get(recipe.disk.table, {}).values():
            kind = str(keys["type"]) if isinstance(keys, dict) and "type" in keys else ""
            if kind and kind not in present:
                yield PARTS, f"{name} needs {_NEEDED.get(kind, f'a partition of type {kind}; write one too')}"
                present.add(kind)


def _kernels(recipe: Recipe) -> Iterable[Finding]:
    """Kernels stand where every loader finds them, on a filesystem every loader reads."""
    disk, place = recipe.disk, recipe.boot.place
    part = loaders.kernels(disk, place)
    if part is None:
        if place != "esp" and disk.partitions:  # an ESP that is missing is told by who needs it
            yield ("boot", "place"), f"there is no {_PLACES[place].removeprefix('the ')}; mark one, or write root"
        return
    for name in recipe.boot.loader:
        kind = KINDS[name]
        partitions = [loaders.kernels(disk, each) for each in kind.places]
        if kind.places and part not in partitions:
            readable = " or ".join(_PLACES[each] for each in kind.places)
            others = next((other for other in KINDS if KINDS[other].firmware == kind.firmware
                           and place in KINDS[other].places), None)  # fmt: skip
            instead = f", or loader: {others}" if others else ""
            yield ("boot", "place"), f"{name} reads kernels from {readable} only; write {kind.places[0]}{instead}"
        elif kind.places and part.fs not in kind.reads:
            what = f"{name} cannot read kernels from {part.fs}; write {' or '.join(kind.reads)}"
            yield (*PARTS, part.name, "fs"), what


def _gap(recipe: Recipe) -> Iterable[Finding]:
    if "grub-bios" not in recipe.boot.loader or recipe.disk.table != "mbr":
        return
    for name, part in recipe.disk.partitions.items():
        if part.start is not None and part.start < GAP:
            what = "GRUB lies before the first partition of an MBR disk; write 1M or more"
            yield (*PARTS, name, "start"), what


def _firmware(recipe: Recipe) -> Iterable[Finding]:
    served = loaders.served(recipe.boot.loader)
    asked: list[tuple[KeyPath, str]] = [(("machine", "firmware"), recipe.machine.firmware)]
    asked += [(("test", "firmware", number), each) for number, each in enumerate(recipe.test.firmware)]
    for path, firmware in asked:
        if firmware in ("uefi", "bios") and firmware not in served:
            fitting = " or ".join(name for name, kind in KINDS.items() if kind.firmware == firmware)
            yield path, f"no loader here starts under {firmware}; add {fitting} to boot.loader, or write auto"


_READS: tuple[KeyPath, ...] = (("disk",), ("boot", "loader"), ("boot", "place"))
RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("boot", "loader"),), _rivals),
    (_READS, _tables),
    (_READS, _needs),
    (_READS, _kernels),
    (_READS, _gap),
    ((("boot", "loader"), ("machine", "firmware"), ("test", "firmware")), _firmware),
)
