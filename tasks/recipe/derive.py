"""What follows from what a recipe says: a loader's usual layout, partitions completed, UUIDs from the seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from bootsmith.tasks.recipe.model import Disk, Partition
from bootsmith.tasks.recipe.nodes import Raw

_UEFI: Raw = {"esp": {"type": "esp", "size": "512M", "mount": "/boot/efi"}, "root": {"fs": "ext4", "mount": "/"}}
_LAYOUTS = {"systemd-boot": _UEFI, "grub-efi": _UEFI}
_TYPES = {"/": "root", "/home": "home", "/var": "var"}
_NO_FILES = ("bios-boot", "swap", "lvm")


def layout(loader: str) -> Raw:
    """Return the partitions a loader usually has, for a recipe that writes none."""
    return _LAYOUTS.get(loader, _UEFI)


def _digest(seed: str, *words: str) -> bytes:
    return hashlib.sha256("\0".join(("bootsmith", seed, *words)).encode()).digest()


def uuid(seed: str, *words: str) -> str:
    """Return the UUID (RFC 9562, version 8) that belongs to a seed and a thing's name."""
    digest = bytearray(_digest(seed, *words)[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def serial(seed: str, *words: str) -> str:
    """Return the volume serial a FAT filesystem has in place of a UUID, as ABCD-1234."""
    text = _digest(seed, *words)[:4].hex().upper()
    return f"{text[:4]}-{text[4:]}"


def disk(values: Mapping[str, Any], loader: str, seed: str) -> Disk:
    """Return the disk with everything unwritten filled in."""
    written: Mapping[str, Mapping[str, Any]] = values["partitions"] or {}
    types = _types(written, loader)
    sizes = {name: each["size"] for name, each in written.items()}
    if values["size"] != "auto" and "remaining" not in sizes.values():
        for name, each in written.items():
            if each["mount"] == "/" and sizes[name] == "auto":
                sizes[name] = "remaining"
    return Disk(
        table=values["table"],
        size=values["size"],
        sector=values["sector"],
        id=values["id"] or uuid(seed, "disk"),
        partitions={name: _partition(name, each, types[name], sizes[name], seed) for name, each in written.items()},
    )


def _types(written: Mapping[str, Mapping[str, Any]], loader: str) -> dict[str, str]:
    """Return each partition's type: the written one, else by its mount, its name and the loader."""
    found = {
        name: each["type"] or ("esp" if name == "esp" or each["mount"] in ("/boot/efi", "/efi") else "")
        for name, each in written.items()
    }
    for name, each in written.items():
        if not found[name] and each["mount"] == "/boot" and loader == "systemd-boot":
            found[name] = "xbootldr" if "esp" in found.values() else "esp"
    return {name: found[name] or _TYPES.get(each["mount"] or "", "linux") for name, each in written.items()}


def _partition(
    name: str, each: Mapping[str, Any], kind: str, size: int | Literal["auto", "remaining"], seed: str
) -> Partition:
    fs: Any = each["fs"] or ("vfat" if kind == "esp" else "none" if kind in _NO_FILES else "ext4")
    mount = each["mount"]
    own = {"none": "", "vfat": serial(seed, "filesystem", name)}.get(fs) or uuid(seed, "filesystem", name)
    read_only = "ro" in each["options"].split(",")
    turn = 0 if mount is None or fs in ("vfat", "none") or (read_only and mount != "/") else 1 if mount == "/" else 2
    extra = 256 << 20 if mount == "/" else 0
    usual_label = {"none": "", "vfat": name.upper()}.get(fs, name)
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
        uuid=each["uuid"] or ("" if fs == "none" else own),
        partuuid=each["partuuid"] or uuid(seed, "partition", name),
        attributes=each["attributes"],
        options=each["options"],
        fsck_pass=turn if each["fsck_pass"] is None else each["fsck_pass"],
        mkfs=each["mkfs"],
    )
