"""Checks of what firmware and kernels find on a disk: its table, filesystems, the loader's files, `root=`, fstab."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bootsmith.cache.display import shown
from bootsmith.tasks.disk import bootable, splice
from bootsmith.tasks.disk.image_content import descriptor
from bootsmith.tasks.disk.inspect import Part
from bootsmith.tasks.disk.partition_table import MBR_TYPES, TYPES
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection import system_tree
from bootsmith.tasks.inspection.boot_entries import Found, Named
from bootsmith.tasks.inspection.system_tree import Place, SystemTree
from bootsmith.tasks.inspection.verdicts import Check, NotMade, Subject
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.recipe import cmdline
from bootsmith.tasks.recipe.loaders.kinds import KINDS, served
from bootsmith.tasks.recipe.model.disk import Partition
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.tools import host, readers
from bootsmith.tasks.tools.bounds import Bounds
from bootsmith.tasks.tools.enclosure import Shown
from bootsmith.tasks.tree import boot_formats

_CHECKER = Bounds(120, 4 << 30)
_HEAD = 4096
_BY = {"UUID": "uuid", "LABEL": "label", "PARTUUID": "partuuid", "PARTLABEL": "partlabel"}


def table(subject: Subject) -> Iterator[str]:
    """Look at the partition table: whole, and as the recipe has it."""
    found = subject.inspection
    yield found.table if found.table != "none" else "no table"
    yield f"{len(found.parts)} partition{'s' if len(found.parts) != 1 else ''}"
    yield from (f"!{problem}" for problem in found.problems)
    if subject.recipe is None:
        return
    disk = subject.recipe.disk
    if (found.table, found.id) != (disk.table, disk.id if disk.table != "none" else ""):
        yield f"!it is {found.table} {found.id}, the recipe's is {disk.table} {disk.id}"
    wanted = _in_table(subject.recipe)
    if len(wanted) != len(found.parts):
        yield f"!the recipe has {len(wanted)} partitions"
        return
    for part, partition in zip(found.parts, wanted, strict=True):
        yield from _partition(subject.image, part, partition, disk.table)


def _partition(image: Image, part: Part, wanted: Partition, kind: str) -> Iterator[str]:
    facts: list[tuple[str, object, object]] = []
    if isinstance(wanted.size, int) and kind != "none":
        facts.append(("is of", human(part.size), human(wanted.size)))
    if wanted.start is not None and kind != "none":
        facts.append(("starts at byte", part.start, wanted.start))
    if kind == "gpt":
        types = {guid: name for name, guid in TYPES.items()}
        facts += [
            ("is called", part.name, wanted.gpt_name), ("has the GUID", part.guid, wanted.partuuid),
            ("has the type", part.type, types.get(wanted.type, wanted.type)),
        ]  # fmt: skip
    elif kind == "mbr":
        number = int(MBR_TYPES.get(wanted.type, wanted.type), 16)
        facts += [
            ("has the type", part.type, f"0x{number:02x}"), ("is marked", part.mark, "active" if wanted.active else ""),
            ("has the PARTUUID", system_tree.partuuid(image, part), wanted.partuuid),
        ]  # fmt: skip
    for word, is_so, should in facts:
        if is_so != should:
            yield f"!partition {wanted.name} {word} {is_so or 'nothing'}, the recipe says {should or 'nothing'}"


def filesystems(subject: Subject) -> Iterator[str]:
    """Look at what each partition holds: as the recipe has it, and found clean by the filesystem's own check."""
    wanted = _in_table(subject.recipe) if subject.recipe else []
    for index, part in enumerate(subject.inspection.parts):
        name = part.name or (str(part.number) if part.number else "disk")
        inside = part.filesystem
        if index < len(wanted) and wanted[index].fs != "none":
            partition = wanted[index]
            kind, name_of = _wanted(partition)
            if inside is None:
                yield f"!partition {name} is empty, the recipe's has {kind}"
                continue
            facts = (inside.kind, inside.uuid), (kind, name_of)
            if facts[0] != facts[1]:
                yield "!partition {} holds {} {}, the recipe's has {} {}".format(name, *facts[0], *facts[1])
        if inside is None:
            continue
        yield f"{name} {inside.kind}"
        yield from _contents(subject, index, name)


def _in_table(recipe: Recipe) -> list[Partition]:
    """Return the partitions of a recipe that its table has."""
    return [part for part in recipe.disk.partitions.values() if part.in_table]


def _wanted(partition: Partition) -> tuple[str, str]:
    """Return the kind and the UUID of what a partition of a recipe is to hold."""
    if partition.encrypt:
        return f"LUKS{partition.encrypt.luks}", partition.encrypt.uuid
    return "FAT32" if partition.fs == "vfat" else partition.fs, partition.uuid


def _contents(subject: Subject, index: int, name: str) -> Iterator[str]:
    """Look at the filesystem itself: in an encrypted volume at the one in it, where that was unlocked."""
    part = subject.image.parts[subject.inspection.parts[index].number]
    inside, room = part.filesystem, subject.image.size(part)
    outer = subject.inspection.parts[index].filesystem
    if outer and inside != outer:
        wanted = _in_table(subject.recipe)[index] if subject.recipe else None
        yield f"in it {inside.kind if inside else 'nothing that is known'}"
        kind = wanted and ("FAT32" if wanted.fs == "vfat" else wanted.fs)
        if wanted and (inside is None or (inside.kind, inside.uuid) != (kind, wanted.uuid)):
            yield f"!the volume in partition {name} does not hold {kind} {wanted.uuid}"
    if inside and inside.size > room:
        yield f"!the filesystem of partition {name} is larger than that: {inside.size} bytes in {room}"
    elif inside:
        yield from _own_check(subject.image, part, name)


def _own_check(image: Image, part: Part, name: str) -> Iterator[str]:
    """Have a filesystem's own program look at it; it writes nothing."""
    kind = part.filesystem.kind if part.filesystem else ""
    with contextlib.ExitStack() as stack:
        if kind.startswith("ext"):
            file, start = stack.enter_context(_place_of(image, part))
            checker, words = host.find("e2fsck"), ["-f", "-n"]
        elif kind.startswith("FAT"):  # fsck.vfat takes no offset
            source, at = stack.enter_context(descriptor(*image.where(part)))
            file, start = stack.enter_context(tempfile.TemporaryFile(prefix="bootsmith-")).fileno(), 0
            os.truncate(file, image.size(part))
            splice.copy(source, at, file, 0, image.size(part))
            checker, words = host.find("fsck.vfat"), ["-n"]
        else:
            if kind == "squashfs":  # has no program of its own that checks: every file is looked at
                yield from _walk(image, part)
            return
        offset = f"?offset={start}" if start else ""
        done = readers.look(checker, lambda name: [*words, f"{name}{offset}"], Shown(file), bounds=_CHECKER)
    if done.status:
        lines = [line.strip() for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
        told = [line for line in lines if not line.startswith(("Pass ", "fsck.fat", "/dev/fd", "/image"))]
        yield f"!{checker.name} finds partition {name} damaged: {shown('; '.join(told[:3]), 300)}"


def _place_of(image: Image, part: Part) -> contextlib.AbstractContextManager[tuple[Path | int, int]]:
    disk, start, size = image.where(part)
    return disk.part(start, size)


def _walk(image: Image, part: Part) -> Iterator[str]:
    """Look at all that a filesystem holds. Raises StageError where something leads nowhere."""
    tree = SystemTree(image, part.number, {})
    for _ in tree.walk(tree.top):
        pass
    yield from ()


def loader(subject: Subject) -> Iterator[str]:
    """Look for what firmware starts, and for the files that the loader's entries name."""
    firmware = bootable.of_disk(subject.image.disk)
    if subject.recipe and served(subject.recipe.boot.loader) == ["direct"]:
        raise NotMade("no loader: QEMU starts the kernel")
    removable = subject.recipe is not None and subject.recipe.boot.removable != "no"
    for name in subject.recipe.boot.loader if subject.recipe and removable else ():
        if KINDS[name].firmware not in (*firmware, "direct"):
            yield f"!nothing on it is what {KINDS[name].firmware.upper()} firmware starts, which {name} would be"
    if not firmware:
        if not subject.recipe:
            raise NotMade("nothing on it is what firmware starts")
        return
    yield f"for {' and '.join(sorted(each.upper() for each in firmware))}"
    yield f"{len(subject.entries)} {'entry' if len(subject.entries) == 1 else 'entries'}"
    if subject.recipe and not subject.entries and set(subject.recipe.boot.loader) <= KINDS.keys():
        yield "!there is no entry that a loader could start"
    for entry in subject.entries:
        for each in entry.files:
            yield from _file(subject.image, entry, each)


def _file(image: Image, entry: Found, named: Named) -> Iterator[str]:
    """Look at a file that an entry names."""
    what = f"{entry.loader}'s entry {entry.name} names {shown(named.path)}"
    if named.partition not in image.parts:
        yield f"!{what} on a filesystem that is not there"
        return
    tree = SystemTree(image, named.partition, {})
    try:
        place = tree.find(os.fsencode(named.path))
    except UsageError:
        yield f"!{what}, which is not there"
        return
    head = place.files.read(place.node, 0, _HEAD) if place.node.kind == "f" else b""
    if not head:
        yield f"!{what}, which is {'empty' if place.node.kind == 'f' else 'no file'}"
    elif named.role == "initrd" and not boot_formats.initrd(head):
        yield f"!{what}, which is no initrd"
    elif named.role == "kernel" and not (boot_formats.kernel(head) or boot_formats.packing(head) or head[:2] == b"MZ"):
        yield f"!{what}, which is no kernel"


def root(subject: Subject) -> Iterator[str]:
    """Look whether each entry's `root=` leads to a partition that holds a system with something to start."""
    if not subject.entries:
        raise NotMade("no entry to start")
    said = set()
    for entry in subject.entries:
        if entry.protocol != "linux":
            continue
        options = _options(entry.cmdline)
        for value in filter(None, [options.get("root")]):
            said.add(value)
            yield from _root(subject.image, entry, value, options)
    yield from sorted(said)
    if not said:
        raise NotMade("no entry says root=")


def _options(words: str) -> dict[str, str]:
    """Return the words of a command line that hold `=`; of several of one name the last counts."""
    try:
        found = cmdline.words(words)
    except ValueError:
        found = words.split()
    return dict(word.split("=", 1) for word in found if "=" in word)


def _root(image: Image, entry: Found, value: str, options: dict[str, str]) -> Iterator[str]:
    by, _, name = value.partition("=")
    if by not in _BY:
        return  # /dev/vda2: what a disk is called is not written on it
    parts = [each for each in image.parts.values() if _is_called(image, each, _BY[by], name)]
    if len(parts) != 1:
        many = f"{len(parts)} partitions are" if parts else "no partition is"
        yield f"!{entry.loader}'s entry {entry.name} says root={value}, which {many}"
        return
    if parts[0].number not in image.readable:
        return
    tree = SystemTree(image, parts[0].number, {})
    tree = SystemTree(image, parts[0].number, system_tree.mounted(image, tree))
    wanted = [options["init"]] if "init" in options else ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"]
    if not any(_runs(tree, path) for path in wanted):
        what = f"no {wanted[0]} that can be executed"
        yield f"!{entry.loader}'s entry {entry.name}: its root has nothing to start, {what}"


def _runs(tree: SystemTree, path: str) -> bool:
    place = _place(tree, path)
    return place is not None and place.node.kind == "f" and bool(place.node.mode & 0o111) and place.node.size > 0


def _place(tree: SystemTree, path: str) -> Place | None:
    try:
        return tree.find(os.fsencode(path))
    except UsageError:
        return None


def _is_called(image: Image, part: Part, by: str, name: str) -> bool:
    inside = part.filesystem
    if by in ("uuid", "label"):
        return inside is not None and name.lower() == (inside.uuid if by == "uuid" else inside.label).lower()
    return name.lower() == (system_tree.partuuid(image, part) if by == "partuuid" else part.name).lower()


def fstab(subject: Subject) -> Iterator[str]:
    """Look whether fstab names partitions that there are, and directories to mount them at."""
    if subject.tree is None:
        raise NotMade("no system on it")
    lines = system_tree.fstab(subject.tree)
    if not lines:
        raise NotMade("there is none, or it is empty")
    for line in lines:
        yield line.where
        yield from (f"!/etc/fstab: {problem}" for problem in _mount(subject.image, subject.tree, *line))


def _mount(image: Image, tree: SystemTree, what: str, where: str) -> Iterator[str]:
    by, _, name = what.partition("=")
    if by in _BY:
        part = next((each for each in image.parts.values() if _is_called(image, each, _BY[by], name)), None)
        if part is None:
            yield f"{what} is to be mounted at {where}, and no partition is called so"
        elif where == "/" and part.number != tree.number:
            yield f"partition {part.number} is to be mounted at /, and the system is on {tree.number}"
    place = _place(tree, where) if where.startswith("/") else None
    if where.startswith("/") and (place is None or place.node.kind != "d"):
        yield f"{what} is to be mounted at {where}, which is no directory"


def free_space(subject: Subject) -> Iterator[str]:
    """Look whether filesystems have the room left that the recipe promises (`extra`), and a root its `min_free`."""
    if subject.recipe is None:
        raise NotMade("no recipe to promise any")
    parts = [subject.image.parts[part.number] for part in subject.inspection.parts]
    for part, partition in zip(parts, _in_table(subject.recipe), strict=False):
        inside = part.filesystem
        if inside is None or inside.available is None or not partition.mount:
            continue
        least = max(partition.extra, subject.recipe.verify.min_free if partition.mount == "/" else 0)
        yield f"{partition.name} {human(inside.available)}"
        if inside.available < least:
            yield f"!partition {partition.name} has {human(inside.available)} left, {human(least)} were promised"


CHECKS: dict[str, Check] = {
    "table": table,
    "filesystems": filesystems,
    "loader": loader,
    "root": root,
    "fstab": fstab,
    "free-space": free_space,
}
