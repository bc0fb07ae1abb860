"""What a partition table can say and what it cannot: GPT and MBR; and a disk without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.model.disk import Partition
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath

PARTS: KeyPath = ("disk", "partitions")
MOST = 4
MOST_ON_GPT = 128  # by convention: all that reads a GPT expects room for so many, and ours is that long
LIMIT = 1 << 41  # 2 TiB: an MBR counts sectors in 32 bits
SIGNATURE = len("1234abcd")
PARTUUID = len("1234abcd-01")


def _gpt(recipe: Recipe) -> Iterable[Finding]:
    disk = recipe.disk
    if disk.table != "gpt":
        return
    if len(disk.id) == SIGNATURE:
        yield ("disk", "id"), f"{disk.id} is a signature of MBR disks, and this is GPT; write a UUID"
    number = 0
    for name, part in disk.partitions.items():
        number += part.in_table
        if number == MOST_ON_GPT + 1 and part.in_table:
            yield (*PARTS, name), f"a GPT has room for {MOST_ON_GPT} partitions; leave some out"
        if part.type.startswith("0x"):
            what = f"{part.type} is a type of MBR tables, and this is GPT; write a name like linux, or a GUID"
            yield (*PARTS, name, "type"), what
        if part.active:
            what = "a GPT has no active flag; write attributes: [legacy-boot], or disk.table: mbr"
            yield (*PARTS, name, "active"), what
        if len(part.partuuid) == PARTUUID:
            yield (*PARTS, name, "partuuid"), f"{part.partuuid} is of an MBR disk, and this is GPT; write a UUID"


def _mbr(recipe: Recipe) -> Iterable[Finding]:
    disk = recipe.disk
    if disk.table != "mbr":
        return
    if len(disk.id) != SIGNATURE:
        yield ("disk", "id"), "an MBR disk has no UUID; write its signature: eight hex digits"
    if disk.size != "auto" and disk.size > LIMIT:
        yield ("disk", "size"), "an MBR reaches no further than 2T; make it smaller, or write disk.table: gpt"
    actives = [name for name, part in disk.partitions.items() if part.active]
    for name in actives[1:]:
        yield (*PARTS, name, "active"), f"{actives[0]} is the active partition already; only one can be"
    for number, part in enumerate((part for part in disk.partitions.values() if part.in_table), 1):
        if number == MOST + 1:
            what = "an MBR has room for four partitions; leave some out, or write disk.table: gpt"
            yield (*PARTS, part.name), what
        partuuid = f"{disk.id}-{number:02x}"
        if len(disk.id) == SIGNATURE and part.partuuid != partuuid:
            what = f"on an MBR disk it follows from disk.id and the partition's place: {partuuid}; remove it"
            yield (*PARTS, part.name, "partuuid"), what
        for key, what in _mbr_partition(part):
            yield (*PARTS, part.name, key), what


def _mbr_partition(part: Partition) -> Iterator[tuple[str, str]]:
    if part.type == "bios-boot":
        yield "type", "an MBR disk has no such partition: GRUB lies before the first one; remove it"
    elif "-" in part.type:
        yield "type", "a GUID is a type of GPT, and this is MBR; write a name like linux, or a code like 0x83"
    if part.gpt_name:
        yield "name", "partitions of an MBR have no names; remove it, or write disk.table: gpt"
    if part.attributes:
        yield "attributes", "partitions of an MBR have none; write active: true, or disk.table: gpt"


def _none(recipe: Recipe) -> Iterable[Finding]:
    disk = recipe.disk
    if disk.table != "none" or not all("none" in KINDS[name].layouts for name in recipe.boot.loader):
        return
    for part in [*disk.partitions.values()][1:]:
        what = "a disk without a table is one filesystem; leave this out, or write disk.table: gpt"
        yield (*PARTS, part.name), what
    for part in disk.partitions.values():
        for key, written in (
            ("start", part.start is not None),
            ("attributes", part.attributes),
            ("active", part.active),
        ):
            if written:
                yield (*PARTS, part.name, key), "there is no table to say so in; remove it, or write disk.table: gpt"
    by_table = "there is no table to have a PARTUUID in; write uuid, or disk.table: gpt"
    if recipe.boot.root == "partuuid":
        yield ("boot", "root"), by_table
    if recipe.system != "none" and recipe.system.fstab == "partuuid":
        yield ("system", "fstab"), by_table


RULES = (_gpt, _mbr, _none)
