"""What a verified root asks of the rest of a recipe: that its hash can be known, told to its kernel, and looked for."""

from __future__ import annotations

from collections.abc import Iterable

from bootsmith.tasks.recipe.cmdline import ROOT_HASH
from bootsmith.tasks.recipe.loaders import partitions
from bootsmith.tasks.recipe.model.disk import HASH_TREE, Partition
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath

PARTS: KeyPath = ("disk", "partitions")


def check(recipe: Recipe) -> Iterable[Finding]:
    """Find what cannot be verified, and hash trees of nothing."""
    parts = recipe.disk.partitions
    data = [part for part in parts.values() if part.verity]
    trees = [part for part in parts.values() if part.fs == HASH_TREE]
    for part in data:
        yield from _data(recipe, part)
    for part in data[:1] if not trees else ():
        what = f"its hash tree would be called {part.name}-verity, which another partition is"
        yield (*PARTS, part.name, "verity"), f"{what}; write one with fs: verity"
    for part in trees if not data else trees[1:]:
        what = f"{trees[0].name} is the hash tree already" if data else "no partition has verity: true"
        yield (*PARTS, part.name, "fs"), f"{what}; remove this one"
    for part in (*data, *trees):
        if part.partuuid and recipe.disk.table == "gpt":
            yield (*PARTS, part.name, "partuuid"), "it follows from the root hash, by which it is found; remove it"
    if data:
        yield from _told(recipe)


def _data(recipe: Recipe, part: Partition) -> Iterable[Finding]:
    path = (*PARTS, part.name, "verity")
    if part.mount != "/":
        what = "only a root is verified: the hash of another would stand in the tree that it is made of"
        yield path, f"{what}; remove it"
    if not part.packed:
        what = f"the table, which names partitions by the hash, is written before {part.fs} is made"
        yield (*PARTS, part.name, "fs"), f"{what}; write squashfs"
    if recipe.disk.table != "gpt":
        yield ("disk", "table"), "its partitions are found by their GUIDs; write gpt, or leave verity out"
    kernels = partitions.kernels(recipe.disk, recipe.boot.place)
    if kernels is not None and kernels.name == part.name:
        what = "kernels on it would hold the command line with its own hash"
        yield ("boot", "place"), f"{what}; write esp, or give /boot a partition"
    if part.encrypt:
        yield (*PARTS, part.name, "encrypt"), "what is encrypted is not verified here; remove it, or verity"


def _told(recipe: Recipe) -> Iterable[Finding]:
    """Find kernels that nobody would tell the root hash, or tell another one."""
    boot = recipe.boot
    if boot.protocol != "linux" or boot.root == "none":
        yield ("boot", "root"), "nobody would be told the root hash; write partuuid, or leave verity out"
    for name, entry in boot.entries.items():
        if entry.initrd == "none":
            what = "a kernel alone cannot open a verified root"
            yield ("boot", "entries", name, "initrd"), f"{what}; write auto, or the file of one that can"
    said: list[tuple[KeyPath, str]] = [(("boot", "cmdline"), boot.cmdline)]
    said += [(("boot", "entries", name, "cmdline"), entry.cmdline) for name, entry in boot.entries.items()]
    for where, text in said:
        if any(word.startswith(ROOT_HASH) for word in text.split()):
            yield where, "the root hash follows from what the root holds, and is added; remove it"
