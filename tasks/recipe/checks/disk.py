"""What a disk must be as a whole: partitions that fit, mounts that meet, labels and UUIDs that tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from bootsmith.tasks.recipe import tree_packages
from bootsmith.tasks.recipe.checks import mkfs, sectors, table, verity
from bootsmith.tasks.recipe.model.disk import NAMELESS, UNLABELLED, Disk, Partition
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath
from bootsmith.tasks.recipe.values.units import SECTOR, show_size

MIB = 1 << 20
LEAST_FAT32 = {512: 33 * MIB, 4096: 257 * MIB}
"""Of 65525 clusters of one sector, two tables of four bytes for each, and what stands before them."""
LEAST = MIB
_MOST_SUBVOLUMES = 100
ENDS = {"gpt": 34 * SECTOR, "mbr": 0, "none": 0}  # what a table takes at a disk's end
_BEFORE = {1: 2 * MIB, 2: 16 * MIB}  # of a volume of LUKS, its header
PARTS: KeyPath = ("disk", "partitions")


def _mounts(recipe: Recipe) -> Iterable[Finding]:
    parts = recipe.disk.partitions
    seen: dict[str, str] = {}
    for name, part in parts.items():
        if part.mount is None:
            continue
        if part.mount in seen:
            yield (*PARTS, name, "mount"), f"{seen[part.mount]} is mounted at {part.mount} already; take another place"
        seen.setdefault(part.mount, name)
        if part.fs in ("none", "swap", "verity"):
            yield (*PARTS, name, "mount"), "there is no filesystem to mount; write fs:, or remove the mount"
    for name in {"layout", "base"} & parts.keys():  # partition/layout.json is the disk's, populate/base no partition's
        yield (*PARTS, name), "bootsmith keeps a file of that name; take another name"
    if "/" not in seen and (recipe.boot.initrd == "tree" or (not parts and "direct" in recipe.boot.loader)):
        return
    if "/" not in seen:
        yield PARTS, "no partition is mounted at /; this replaces the usual layout, so write `root: {mount: /}` too"
    elif parts[seen["/"]].fs not in ("ext2", "ext3", "ext4", "btrfs", "squashfs", "erofs", "none"):
        yield (*PARTS, seen["/"], "fs"), f"{parts[seen['/']].fs} cannot hold the root filesystem; write ext4"


def _esp(recipe: Recipe) -> Iterable[Finding]:
    found = [part for part in recipe.disk.partitions.values() if part.type == "esp"]
    for part in found[1:]:
        yield (*PARTS, part.name, "type"), f"{found[0].name} is the ESP already; give this one another type"
    for part in found:
        if part.fs != "vfat":
            yield (*PARTS, part.name, "fs"), f"firmware reads no {part.fs}; write vfat, or another type:"


def _sizes(recipe: Recipe) -> Iterable[Finding]:
    disk = recipe.disk
    remaining = [name for name, part in disk.partitions.items() if part.size == "remaining"]
    for name in remaining[1:]:
        yield (*PARTS, name, "size"), f"{remaining[0]} takes what is remaining already; write a size"
    if remaining and disk.size == "auto":
        path = (*PARTS, remaining[0], "size")
        yield path, "there is no disk.size for it to be remaining of; write disk.size, or auto here"
    for name, part in disk.partitions.items():
        if part.measured and part.extra:
            yield (*PARTS, name, "extra"), f"nobody writes to {_a(part)}, so nothing stays free in it; remove it"
        if part.fs in ("none", "swap") and part.size == "auto" and not part.content:
            yield (*PARTS, name, "size"), "there is no filesystem to measure; write a size"
        if part.encrypt and isinstance(part.size, int) and part.size <= _BEFORE[part.encrypt.luks]:
            what = f"{show_size(part.size)} is all taken by the header of LUKS{part.encrypt.luks}"
            yield (*PARTS, name, "size"), f"{what}; write more than {show_size(_BEFORE[part.encrypt.luks])}"
        if part.fs == "vfat" and isinstance(part.size, int) and part.size < LEAST_FAT32[disk.sector]:
            least = show_size(LEAST_FAT32[disk.sector])
            what = f"{show_size(part.size)} is too small for FAT32; write at least {least}"
            yield (*PARTS, name, "size"), what


def in_order(disk: Disk) -> list[tuple[int, int, str]]:
    """Return where partitions begin and end at the earliest, and their names, in their order on the disk."""
    end = 0 if disk.table == "none" else MIB
    places: list[tuple[int, int, str]] = []
    for name, part in disk.partitions.items():
        start = -(-end // MIB) * MIB if part.start is None else part.start
        end = start + _least(part, disk.sector)
        places.append((start, end, name))
    return sorted(places)


def _space(recipe: Recipe) -> Iterable[Finding]:
    """Find what cannot fit, as far as that can be told without the content of what is `auto`."""
    parts, places = recipe.disk.partitions, in_order(recipe.disk)
    for (_, before, first), (start, _, second) in pairwise(places):
        if start < before:
            key = "start" if parts[second].start is not None else "size"
            what = f"it begins at {show_size(start)}, inside {first}, which needs up to {show_size(before)}"
            yield (*PARTS, second, key), f"{what}; move one of them, or make {first} smaller"
    needed = -(-(places[-1][1] + ENDS[recipe.disk.table]) // MIB) * MIB if places else 0
    if recipe.disk.size != "auto" and recipe.disk.size < needed:
        open_ended = any(not isinstance(part.size, int) for part in parts.values())
        more = ", and what their files take" if open_ended else ""
        what = f"{show_size(recipe.disk.size)} is too small: the partitions need {show_size(needed)}{more}"
        yield ("disk", "size"), f"{what}; raise it, or make them smaller"


def _least(part: Partition, sector: int) -> int:
    if isinstance(part.size, int) or part.content:
        return part.size if isinstance(part.size, int) else sector
    return (LEAST_FAT32[sector] if part.fs == "vfat" else LEAST) + (_BEFORE[part.encrypt.luks] if part.encrypt else 0)


_NOT_IN_FAT = frozenset('*?.,;:/\\|+=<>[]"')


def _labels(recipe: Recipe) -> Iterable[Finding]:
    for name, part in recipe.disk.partitions.items():
        path = (*PARTS, name, "label")
        plain = part.label.isprintable()
        if part.fs == "vfat" and not (
            plain and len(part.label) <= 11 and part.label.isascii() and _NOT_IN_FAT.isdisjoint(part.label)
        ):
            yield path, f"{part.label!r} cannot be a FAT label; write at most 11 plain letters and digits"
        elif part.fs != "vfat" and (len(part.label.encode()) > 16 or not plain):
            yield path, f"{part.label!r} cannot be a label of {part.fs}; write at most 16 bytes"
        elif part.fs in UNLABELLED and part.label:
            yield path, f"{_lacks(part)} to label; remove it, or write another fs:"
        if len(part.gpt_name.encode("utf-16-le")) > 2 * 36 or not part.gpt_name.isprintable() or '"' in part.gpt_name:
            yield (*PARTS, name, "name"), f"{part.gpt_name!r} cannot be a name in GPT; write at most 36 letters"


def _lacks(part: Partition) -> str:
    return "there is no filesystem" if part.fs == "none" else f"{_a(part)} has nothing"


def _a(part: Partition) -> str:
    return f"an {part.fs}" if part.fs[0] in "aeio" else f"a {part.fs}"


def _read_only(recipe: Recipe) -> Iterable[Finding]:
    """Find what a root that is only read cannot be, and layers over what is no root."""
    ours = tree_packages.makes_initrds(recipe)
    for name, part in recipe.disk.partitions.items():
        path = (*PARTS, name)
        if part.overlay == "memory" and part.mount != "/":
            yield (*path, "overlay"), "a layer in memory goes over the root, which this is not; remove it"
            continue
        if part.overlay == "memory" and recipe.boot.protocol == "linux":
            others = [each for each in recipe.boot.entries.values() if each.initrd != "auto" or not ours]
            if recipe.boot.root == "none" or others:
                what = "it takes root= and an initrd that is made here, by the initramfs-tools of a Debian"
                yield (*path, "overlay"), f"{what}; write overlay: none, or boot.initrd: auto"
        lacking = part.fs in {"uuid": NAMELESS, "label": UNLABELLED}.get(recipe.boot.root, ())
        if lacking and part.mount == "/":
            what = f"{_a(part)} has none to be found by; write partuuid"
            yield ("boot", "root"), what
        named = recipe.system != "none" and recipe.system.fstab != "none" and part.mount and part.overlay == "none"
        if part.packed and part.fs in NAMELESS and named and recipe.disk.table == "none":
            what = f"{_a(part)} on a disk without a table has nothing that a line could name it by; write none"
            yield ("system", "fstab"), what


def _bare(recipe: Recipe) -> Iterable[Finding]:
    """Find bytes that a filesystem would lie over, and what cannot be without an entry in the table."""
    disk = recipe.disk
    for name, part in disk.partitions.items():
        path = (*PARTS, name)
        if part.content and (part.fs != "none" or part.encrypt):
            yield (*path, "content"), f"{part.fs} has its own; remove it, or write fs: none"
        if not part.in_table and (part.fs != "none" or part.active or part.attributes):
            yield (*path, "in_table"), "what is not in the table is found by nobody but firmware; remove it"
        first = 2 * disk.sector + 32 * SECTOR
        if disk.table == "gpt" and part.start is not None and part.start < first:
            what = f"{show_size(part.start)} is within the GPT, which takes {show_size(first)}"
            yield (*path, "start"), f"{what}; write more, or disk.table: mbr"


def _subvolumes(recipe: Recipe) -> Iterable[Finding]:
    """Find subvolumes of what has none, and in places that are another partition's."""
    mounts = {part.mount: name for name, part in recipe.disk.partitions.items() if part.mount}
    for name, part in recipe.disk.partitions.items():
        path = (*PARTS, name, "subvolumes")
        if part.subvolumes and part.fs != "btrfs":
            yield path, f"only btrfs has subvolumes, and the filesystem is {part.fs}; remove it"
            continue
        if len(part.subvolumes) > _MOST_SUBVOLUMES:
            yield path, f"{len(part.subvolumes)} are too many; write at most {_MOST_SUBVOLUMES}"
        for each in part.subvolumes:
            holding = [mount for mount in mounts if f"{each}/".startswith(f"{mount.rstrip('/')}/")]
            best = max(holding, key=len, default="")
            if best == each or mounts.get(best) != name:
                what = f"{each} is {mounts[best]}'s own top" if best == each else f"{each} is not on this partition"
                yield path, f"{what}; write a folder below {part.mount or 'where it is mounted'}"


def _encrypted(recipe: Recipe) -> Iterable[Finding]:
    """Find what is encrypted and cannot be unlocked by who reads it."""
    for name, part in recipe.disk.partitions.items():
        path = (*PARTS, name, "encrypt")
        if part.encrypt is None:
            continue
        if part.fs in ("none", "verity"):
            yield path, "there is no filesystem to encrypt; remove it, or write fs:"
        if part.type == "esp" or part.active:
            yield path, "firmware unlocks nothing; remove it"
        others = [each for each in recipe.boot.entries.values() if each.initrd != "auto"]
        if part.mount == "/" and (others or not tree_packages.makes_initrds(recipe) or recipe.boot.root == "none"):
            what = "a root is unlocked by an initrd that is made here, of a Debian's initramfs-tools"
            yield path, f"{what}; remove it, or write boot.initrd: auto"


def _label_uses(recipe: Recipe) -> Iterable[Finding]:
    """Labels tell filesystems apart only where they are there and differ."""
    by_label = recipe.boot.root == "label" or (recipe.system != "none" and recipe.system.fstab == "label")
    seen: dict[str, str] = {}
    for name, part in recipe.disk.partitions.items():
        if not by_label or part.mount is None or part.fs in UNLABELLED:
            continue
        path = (*PARTS, name, "label")
        if not part.label:
            yield path, "it is found by its label, which is empty; write one"
        elif part.label in seen:
            yield path, f"{seen[part.label]} has the same label, by which they are found; write another one"
        seen.setdefault(part.label, name)


def _identities(recipe: Recipe) -> Iterable[Finding]:
    seen = {recipe.disk.id: "the disk"}
    for name, part in recipe.disk.partitions.items():
        for key, value in (("uuid", part.uuid), ("partuuid", part.partuuid)):
            if not value:
                continue
            if value in seen:
                yield (*PARTS, name, key), f"{value} belongs to {seen[value]} already; write another one"
            seen.setdefault(value, name)
        is_serial = len(part.uuid) == len("ABCD-1234")
        if part.fs in NAMELESS and part.uuid:
            yield (*PARTS, name, "uuid"), f"{_lacks(part)} to have it; remove it, or write another fs:"
        elif part.uuid and is_serial != (part.fs == "vfat"):
            form = "ABCD-1234" if part.fs == "vfat" else "01234567-89ab-cdef-0123-456789abcdef"
            yield (*PARTS, name, "uuid"), f"{part.uuid} cannot be the UUID of {part.fs}; write one like {form}"


_LAYOUT: tuple[KeyPath, ...] = (("disk",), ("boot", "loader"))
RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    (_LAYOUT, _mounts),
    (_LAYOUT, _esp),
    ((*_LAYOUT, ("outputs",), ("machine",)), sectors.check),
    ((*_LAYOUT, ("boot",)), verity.check),
    *(((*_LAYOUT, ("boot", "root"), ("system",)), rule) for rule in table.RULES),
    ((*_LAYOUT, ("boot",), ("source",), ("system", "fstab")), _read_only),
    ((*_LAYOUT, ("boot",), ("source",)), _encrypted),
    (_LAYOUT, _bare),
    (_LAYOUT, _subvolumes),
    (_LAYOUT, _sizes),
    (_LAYOUT, _space),
    (_LAYOUT, _labels),
    ((*_LAYOUT, ("boot", "root"), ("system", "fstab")), _label_uses),
    (_LAYOUT, _identities),
    (_LAYOUT, mkfs.check),
    (_LAYOUT, mkfs.check_form),
)
