"""Checks of what firmware and kernels find on a disk: its table, filesystems, the loader's files, `root=`, fstab."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bootsmith.cache.display import shown
from bootsmith.tasks.disk.parts import Part, sector
from bootsmith.tasks.disk.sizing import human
from bootsmith.tasks.disk.superblock import Filesystem
from bootsmith.tasks.disk.verity import form as verity
from bootsmith.tasks.errors import UsageError
from bootsmith.tasks.inspection import system_tree
from bootsmith.tasks.inspection.boot_entries import Found, Named
from bootsmith.tasks.inspection.expectation import Expected, ExpectedPartition
from bootsmith.tasks.inspection.system_tree import FstabLine, Place, SystemTree
from bootsmith.tasks.inspection.verdicts import Check, NotMade, Subject
from bootsmith.tasks.inspection.volumes import Image
from bootsmith.tasks.recipe import cmdline
from bootsmith.tasks.tree import boot_formats

_HEAD = 4096
_SECTOR = 512
_SOME = 32 << 20
"""Bytes left in a root of which nobody said how many; a tenth of a smaller one."""
_RUNNING = ("/dev/", "/proc/", "/run/", "/sys/")
"""In which directories are made as a system starts."""
_CODE = 440  # bytes of the first sector that a BIOS starts
_REMOVABLE = "efi/boot/bootx64.efi"
"""What UEFI firmware starts from a disk it has never seen (UEFI 2.10, 3.5.1.1), on FAT, whose names know no case."""
_VERIFIED = "/dev/mapper/root"
"""A verified root, which a root hash names."""
_BY = {"UUID": "uuid", "LABEL": "label", "PARTUUID": "partuuid", "PARTLABEL": "partlabel"}


def table(subject: Subject) -> Iterator[str]:
    """Look at the partition table: whole, and as the recipe has it."""
    found = subject.image
    parts = list(found.parts.values())
    yield found.table if found.table != "none" else "no table"
    yield f"{len(parts)} partition{'s' if len(parts) != 1 else ''}"
    yield from (f"!{problem}" for problem in subject.problems)
    if subject.expected is None:
        return
    wanted = subject.expected
    if (found.table, found.identity) != (wanted.table, wanted.id):
        yield f"!it is {found.table} {found.identity}, the recipe's is {wanted.table} {wanted.id}"
    if (counted := sector(found.disk)) != wanted.sector:
        yield f"!it counts sectors of {counted} bytes, the recipe's has {wanted.sector}"
    if len(wanted.partitions) != len(parts):
        yield f"!the recipe has {len(wanted.partitions)} partitions"
        return
    for part, partition in zip(parts, wanted.partitions, strict=True):
        yield from _partition(found, part, partition, wanted.table)


def _partition(image: Image, part: Part, wanted: ExpectedPartition, kind: str) -> Iterator[str]:
    facts: list[tuple[str, object, object]] = []
    if wanted.size is not None:
        facts.append(("is of", human(part.size), human(wanted.size)))
    if wanted.start is not None:
        facts.append(("starts at byte", part.start, wanted.start))
    if kind == "gpt":
        facts += [
            ("is called", part.name, wanted.gpt_name), ("has the GUID", part.guid, wanted.partuuid or part.guid),
            ("has the type", part.type, wanted.type),
        ]  # fmt: skip
    elif kind == "mbr":
        facts += [
            ("has the type", part.type, wanted.type), ("is marked", part.mark, "active" if wanted.active else ""),
            ("has the PARTUUID", system_tree.partuuid(image, part), wanted.partuuid),
        ]  # fmt: skip
    for word, is_so, should in facts:
        if is_so != should:
            yield f"!partition {wanted.name} {word} {is_so or 'nothing'}, the recipe says {should or 'nothing'}"


def filesystems(subject: Subject) -> Iterator[str]:
    """Look at what each partition holds: as the recipe has it, and found clean by the filesystem's own check."""
    wanted = subject.expected.partitions if subject.expected else ()
    for index, part in enumerate(subject.image.parts.values()):
        name = part.name or (str(part.number) if part.number else "disk")
        inside = subject.image.sealed.get(part.number, part.filesystem)
        partition = wanted[index] if index < len(wanted) and wanted[index].fs != "none" else None
        if partition:
            kind = "FAT32" if partition.fs == "vfat" else partition.fs
            if inside is None:
                yield f"!partition {name} is empty, the recipe's has {kind}"
                continue
            if not _is(inside, kind, partition.uuid):
                holds = f"{inside.kind} {inside.uuid}"
                yield f"!partition {name} holds {holds}, the recipe's has {kind} {partition.uuid}"
        if inside is None:
            continue
        yield f"{name} {inside.kind}"
        if part.number in subject.image.clear:
            yield from _unlocked(part, name, partition)
        yield from _sound(subject, part, name)


def _is(inside: Filesystem, kind: str, uuid: str) -> bool:
    """Tell whether a filesystem is of a kind; which ext one is follows from its features, which a recipe may choose."""
    kinds = {"ext" if each.startswith("ext") else each for each in (inside.kind, kind)}
    return len(kinds) == 1 and inside.uuid == uuid


def _unlocked(part: Part, name: str, wanted: ExpectedPartition | None) -> Iterator[str]:
    """Look at what is in a volume that was unlocked."""
    inside = part.filesystem
    yield f"in it {inside.kind if inside else 'nothing that is known'}"
    if wanted and wanted.inner:
        kind, uuid = wanted.inner
        kind = "FAT32" if kind == "vfat" else kind
        if inside is None or not _is(inside, kind, uuid):
            yield f"!the volume in partition {name} does not hold the {kind} {uuid} that the recipe's does"


def _sound(subject: Subject, part: Part, name: str) -> Iterator[str]:
    """Look whether a filesystem fits, and have its own program look at it."""
    inside, room = part.filesystem, subject.image.size(part)
    if inside is None:
        return
    if inside.size > room:
        yield f"!the filesystem of partition {name} is larger than that: {inside.size} bytes in {room}"
        return
    found = subject.checker(subject.image, part)
    if found:
        yield f"!{found.program} finds partition {name} damaged: {shown(found.words, 300)}"
    if inside.kind in ("squashfs", "erofs", "xfs"):  # no program checks it, shut in: every file is looked at
        _walk(subject.image, part)


def _walk(image: Image, part: Part) -> None:
    """Look at all that a filesystem holds. Raises StageError where something leads nowhere."""
    tree = SystemTree(image, part.number, {})
    for _ in tree.walk(tree.top):
        pass


def loader(subject: Subject) -> Iterator[str]:
    """Look for what firmware starts, and for the files that the loader's entries name."""
    firmware = _firmware(subject.image)
    wanted = subject.expected
    if wanted and wanted.direct:
        raise NotMade("no loader: QEMU starts the kernel")
    for name, needs in wanted.loaders if wanted else ():
        if needs not in firmware:
            yield f"!nothing on it is what {needs.upper()} firmware starts, which {name} would be"
    if not firmware:
        if not wanted:
            raise NotMade("nothing on it is what firmware starts")
        return
    yield f"for {' and '.join(sorted(each.upper() for each in firmware))}"
    yield f"{len(subject.entries)} {'entry' if len(subject.entries) == 1 else 'entries'}"
    if subject.others:
        yield f"{len(subject.others)} in menus that nobody reads"
    if wanted and not subject.entries and wanted.menu:
        yield "!there is no entry that a loader could start"
    for entry in subject.entries:
        for each in entry.files:
            yield from _file(subject.image, entry, each)


def _firmware(image: Image) -> set[str]:
    """Return which firmware finds something to start."""
    first = image.disk.read(0, _SECTOR)
    found = {"bios"} if first[510:] == b"\x55\xaa" and any(first[:_CODE]) else set()
    paths = (path for part in image.parts.values() for path in part.loader)
    return found | ({"uefi"} if any(path.lower() == _REMOVABLE for path in paths) else set())


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
        words = options(entry.cmdline)
        for value in filter(None, [words.get("root")]):
            said.add(value)
            yield from _root(subject.image, entry, value, words, demanded=_must_hold_init(subject.expected, entry))
    yield from sorted(said)
    if not said:
        raise NotMade("no entry says root=")


def _must_hold_init(expected: Expected | None, entry: Found) -> bool:
    """Tell whether an entry's root must hold what starts."""
    return expected is None or expected.inits.get(entry.key, any(expected.inits.values()))


def options(words: str) -> dict[str, str]:
    """Return the words of a command line that hold `=`; of several of one name the last counts."""
    try:
        found = cmdline.words(words)
    except ValueError:
        found = words.split()
    return dict(word.split("=", 1) for word in found if "=" in word)


def _root(image: Image, entry: Found, value: str, words: dict[str, str], *, demanded: bool) -> Iterator[str]:
    by, _, name = value.partition("=")
    if value == _VERIFIED and verity.is_root_hash(words.get("roothash", "")):
        by, name = "PARTUUID", verity.partuuids(words["roothash"])[0]
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
    wanted = [words["init"]] if "init" in words else ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"]
    if not any(_runs(tree, path) for path in wanted):
        what = f"{entry.loader}'s entry {entry.name}: its root has nothing to start, no {wanted[0]}"
        yield f"!{what} that can be executed" if demanded else f"{what}, and it has an initrd of its own"


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
        yield from (f"!/etc/fstab: {problem}" for problem in _mount(subject.image, subject.tree, line))


def _mount(image: Image, tree: SystemTree, line: FstabLine) -> Iterator[str]:
    what, where, options = line.what, line.where, line.options.split(",")
    by, _, name = what.partition("=")
    if by in _BY:
        name = name[1:-1] if name[:1] == name[-1:] and name[:1] in ('"', "'") else name  # as libmount reads it
        found = [each.number for each in image.parts.values() if _is_called(image, each, _BY[by], name)]
        if not found and {"noauto", "nofail"} & {*options}:
            return  # another disk's, which need not be there
        if not found:
            yield f"{what} is to be mounted at {where}, and no partition is called so"
        elif where == "/" and tree.number not in found:
            yield f"partition {found[0]} is to be mounted at /, and the system is on {tree.number}"
    if not where.startswith("/") or "noauto" in options or where.startswith(_RUNNING) or _hidden(tree, where):
        return
    place = _place(tree, where)
    if place is None and _makes_mount_points(tree):
        return
    if place is None or place.node.kind != "d":
        yield f"{what} is to be mounted at {where}, which is no directory"


def _hidden(tree: SystemTree, where: str) -> bool:
    """Tell whether a path lies in what is mounted itself, and not read here: another disk, or a locked partition."""
    above = [line.where.strip("/") for line in system_tree.fstab(tree)]
    unread = [each for each in above if each and os.fsencode(each) not in tree.mounts]
    return any(where.startswith(f"/{each}/") for each in unread)


def _makes_mount_points(tree: SystemTree) -> bool:
    """Tell whether a system makes the directories that it mounts at, as systemd does where the root can be written."""
    read_only = any(line.where == "/" and "ro" in line.options.split(",") for line in system_tree.fstab(tree))
    inside = tree.image.parts[tree.number].filesystem
    packed = inside is not None and inside.kind.lower() in ("squashfs", "erofs")
    return _place(tree, "/lib/systemd/systemd") is not None and not (read_only or packed)


def free_space(subject: Subject) -> Iterator[str]:
    """Look whether filesystems have the room left that the recipe promises (`extra`), and a root its `min_free`."""
    if subject.expected is None:
        raise NotMade("no recipe to promise any")
    for part, partition in zip(subject.image.parts.values(), subject.expected.partitions, strict=False):
        inside = part.filesystem
        if inside is None or inside.available is None or not partition.mount:
            continue
        yield f"{partition.name} {human(inside.available)}"
        wanted = min(_SOME, part.size // 10) if partition.free is None else partition.free
        if inside.available < wanted:
            left, promised = human(inside.available), human(wanted)
            yield f"!partition {partition.name} has {left} left, {promised} were promised"


CHECKS: dict[str, Check] = {
    "table": table,
    "filesystems": filesystems,
    "loader": loader,
    "root": root,
    "fstab": fstab,
    "free-space": free_space,
}
