"""The disk of a recipe: what is unwritten of its partitions follows from the rest, and from the loaders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from bootsmith.tasks.recipe.completion.identifiers import serial, signature, uuid
from bootsmith.tasks.recipe.keys.disk import PARTITION
from bootsmith.tasks.recipe.loaders.boot_places import BOOT_SECTOR
from bootsmith.tasks.recipe.loaders.kinds import KINDS
from bootsmith.tasks.recipe.loaders.layouts import usual_table
from bootsmith.tasks.recipe.loaders.partitions import active, esp, kernels
from bootsmith.tasks.recipe.model.disk import HASH_TREE, NAMELESS, PACKED, UNLABELLED, Disk, Partition

_TYPES = {"/": "root", "/home": "home", "/var": "var"}
_TYPES_OF = {"swap": "swap", HASH_TREE: "root-verity"}
_FAT32_LBA = "0x0c"
_NO_FILES = ("bios-boot", "lvm")
_NEEDED = ("/usr/", "/var/", "/etc/", "/opt/", "/srv/")
"""Below these lies what a system or its services do not come up without."""


def complete(values: Mapping[str, Any], names: Sequence[str], seed: str) -> Disk:
    """Return the disk with everything unwritten filled in, for the loaders of these names."""
    written = _with_hash_tree(values["partitions"] or {})
    table: Any = values["table"] or usual_table(names)
    identity = values["id"] or (signature(seed) if table == "mbr" else uuid(seed, "disk"))
    types = _types(written, names, table)
    sizes = {name: each["size"] for name, each in written.items()}
    if values["size"] != "auto" and "remaining" not in sizes.values():
        for name, each in written.items():
            if each["mount"] == "/" and sizes[name] == "auto":
                sizes[name] = "remaining"
    partitions = {name: _partition(name, each, types[name], sizes[name], seed) for name, each in written.items()}
    if table == "mbr":
        partitions = {
            name: _on_mbr(part, written[name], f"{identity}-{number:02x}")
            for number, (name, part) in _numbered(partitions)
        }
    found = Disk(table, values["size"], values["sector"], identity, partitions)
    return _with_bios_mark(found, written, names)


def _with_hash_tree(written: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Return the partitions with that of the hash tree behind the one that has it, where nobody wrote it."""
    data = next((name for name, each in written.items() if each["verity"]), "")
    tree = f"{data}-verity"
    if not data or tree in written or any(each["fs"] == HASH_TREE for each in written.values()):
        return written
    found: dict[str, Mapping[str, Any]] = {}
    for name, each in written.items():
        found[name] = each
        if name == data:
            found[tree] = {**PARTITION.blank, "fs": HASH_TREE}
    return found


def _numbered(partitions: Mapping[str, Partition]) -> Iterator[tuple[int, tuple[str, Partition]]]:
    """Yield the partitions with the numbers that the table gives them: what is not in it has none."""
    number = 0
    for name, part in partitions.items():
        number += part.in_table
        yield number if part.in_table else 0, (name, part)


def _of_kind(kind: str, each: Mapping[str, Any]) -> str:
    """Return the usual filesystem of a partition of that type."""
    return (
        "none"
        if kind in _NO_FILES or each["content"]
        else next((fs for fs, its in _TYPES_OF.items() if kind == its), "ext4")
    )


def _types(written: Mapping[str, Mapping[str, Any]], names: Sequence[str], table: str) -> dict[str, str]:
    """Return each partition's type: the written one, else by its mount, its name and the loaders."""
    found = {name: each["type"] or "" for name, each in written.items()}
    for name, each in written.items():
        if (table, found[name]) == ("mbr", "0xef"):
            found[name] = "esp"
        if not found[name] and (name == "esp" or each["mount"] in ("/boot/efi", "/efi")):
            found[name] = "esp"
    for name, each in written.items():
        if not found[name] and each["mount"] == "/boot" and "systemd-boot" in names and each["fs"] in (None, "vfat"):
            if "esp" not in found.values():
                found[name] = "esp"
            elif table == "gpt":
                found[name] = "xbootldr"
        found[name] = found[name] or _TYPES_OF.get(each["fs"], "")
        if not found[name] and each["fs"] == "vfat" and table == "mbr":
            found[name] = _FAT32_LBA
    return {name: found[name] or _TYPES.get(each["mount"] or "", "linux") for name, each in written.items()}


def _mount_options(mount: str | None, fs: str) -> str:
    """Return how a guest mounts a partition: one that comes late, or not at all, must not end its boot."""
    needed = mount in (None, "/") or f"{mount}/".startswith(_NEEDED)
    usual = {"vfat": "defaults,umask=0077", **dict.fromkeys(PACKED, "ro")}.get(fs, "defaults")
    return usual if needed else f"{usual},nofail"


def _on_mbr(part: Partition, written: Mapping[str, Any], partuuid: str) -> Partition:
    """Return a partition as an MBR can have it: without a name, identified by the disk and its own number."""
    return replace(part, gpt_name=written["gpt_name"] or "", partuuid=written["partuuid"] or partuuid)


def _with_bios_mark(found: Disk, written: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Disk:
    """Return the disk with the mark by which a BIOS loader's partition is found, where nobody wrote one."""
    kind = next((KINDS[name] for name in names if BOOT_SECTOR in KINDS[name].boot_places), None)
    if kind is None or active(found) or any(each["active"] is not None for each in written.values()):
        return found
    lives_on_it = kind.places[:1] == ("active",)
    part = _fat_partition(found) if lives_on_it else kernels(found, "root")
    if part is None or not (lives_on_it or found.table == "mbr"):
        return found
    if found.table == "mbr":
        marked = replace(part, active=True)
    else:
        marked = replace(part, attributes=(*part.attributes, "legacy-boot"))
    return replace(found, partitions={**found.partitions, part.name: marked})


def _fat_partition(found: Disk) -> Partition | None:
    """Return the FAT partition a BIOS loader is most likely meant to live on."""
    mounted = {part.mount: part for part in found.partitions.values() if part.fs == "vfat"}
    return mounted.get("/boot/syslinux") or mounted.get("/boot") or esp(found)


def _partition(
    name: str, each: Mapping[str, Any], kind: str, size: int | Literal["auto", "remaining"], seed: str
) -> Partition:
    fs: Any = each["fs"] or ("vfat" if kind in ("esp", "xbootldr") else _of_kind(kind, each))
    mount, encrypt = each["mount"], each["encrypt"]
    own = serial(seed, "filesystem", name) if fs == "vfat" else uuid(seed, "filesystem", name)
    options = each["options"] or ("sw" if fs == "swap" else _mount_options(mount, fs))
    read_only = "ro" in options.split(",")
    fsck_pass = (
        0
        if mount is None or fs in ("vfat", "btrfs", "swap", "none", *PACKED) or (read_only and mount != "/")
        else 1
        if mount == "/"
        else 2
    )
    extra = 256 << 20 if mount == "/" and isinstance(size, str) and fs not in PACKED else 0
    usual_label = "" if fs in UNLABELLED else name.upper() if fs == "vfat" else name
    return Partition(
        name=name,
        fs=fs,
        mount=mount,
        size=size,
        extra=extra if each["extra"] is None else each["extra"],
        start=each["start"],
        type=kind,
        label=usual_label if each["label"] is None else each["label"],
        gpt_name=name if each["gpt_name"] is None else each["gpt_name"],
        uuid=each["uuid"] or ("" if fs in NAMELESS else own),
        partuuid=each["partuuid"] or ("" if each["verity"] or fs == HASH_TREE else uuid(seed, "partition", name)),
        active=bool(each["active"]),
        attributes=each["attributes"],
        options=options,
        fsck_pass=fsck_pass if each["fsck_pass"] is None else each["fsck_pass"],
        overlay=each["overlay"] or ("memory" if mount == "/" and fs in PACKED else "none"),
        content=each["content"],
        in_table=each["in_table"],
        encrypt=replace(encrypt, uuid=uuid(seed, "volume", name)) if encrypt else None,
        verity=each["verity"],
        features=each["features"],
        inode_size=each["inode_size"],
        reserved=each["reserved"],
        mkfs=each["mkfs"],
        subvolumes=each["subvolumes"],
    )
