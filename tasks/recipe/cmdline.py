"""A kernel's command line as words: blanks divide them, but not within double quotes, as Linux reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bootsmith.tasks.recipe.model.boot import Boot
    from bootsmith.tasks.recipe.model.disk import Disk

LONGEST: Final = 2047
"""Bytes that Linux keeps of its command line on x86 (COMMAND_LINE_SIZE, less the NUL); it says nothing of the rest."""

ROOT_HASH: Final = "roothash="
"""What says the root hash of a verified root, as systemd's generator reads it; what follows only the build knows."""

OVERLAY: Final = "overlay"
"""What `boot=` says to an initrd that is to put a layer in memory over the root, see tree/root_initramfs.py."""

_WORD = re.compile(r'\s*(?:([^\s"]*=)?"([^"]*)"(?=\s|$)|([^\s"]+)(?=\s|$))')


def words(cmdline: str) -> list[str]:
    """Return the words, without the quotes around a word or a value. Raises ValueError where quotes stand elsewhere."""
    found = []
    at, end = 0, len(cmdline.rstrip())
    while at < end:
        match = _WORD.match(cmdline, at, end)
        if match is None:
            raise ValueError(cmdline)
        key, quoted, plain = match.groups()
        found.append(plain if plain is not None else (key or "") + quoted)
        at = match.end()
    return found


def of_entry(boot: Boot, disk: Disk, own: str) -> str:
    """Return the command line of an entry with words of its `own`, all that is added to them included."""
    said = [boot.cmdline, own]
    if boot.protocol == "linux":  # the others are Linux's own
        said = [*_root(boot, disk), *(f"console={name}" for name in boot.console), *said]
    return " ".join(filter(None, said))


def with_root_hash(cmdline: str, root_hash: str) -> str:
    """Return the command line of a verified root that says its root hash, which was not known to who wrote it."""
    return " ".join(word + root_hash if word == ROOT_HASH else word for word in cmdline.split(" "))


def of_medium(boot: Boot, own: str, live: str | None) -> str:
    """Return the command line of an entry with words of its `own` on a CD; `live` is the UUID where the root is.

    Both what initramfs-tools are given here and Debian's live-boot go by these words.
    """
    root = ["boot=live", f"live-media=/dev/disk/by-uuid/{live}"] if live else []
    return " ".join(filter(None, [*root, *(f"console={name}" for name in boot.console), boot.cmdline, own]))


def _root(boot: Boot, disk: Disk) -> list[str]:
    """Return the words that tell the kernel its root filesystem."""
    root = next((each for each in disk.partitions.values() if each.mount == "/"), None)
    if boot.root == "none" or root is None:
        return []
    over = [f"boot={OVERLAY}"] if root.overlay == "memory" else []
    if root.mapped:  # it has no other name before it is unlocked, or verified
        return [f"root={root.mapped}", *([ROOT_HASH] if root.verity else []), "ro", *over]
    match boot.root:
        case "partuuid":
            # initrds look for the text as it stands below /dev/disk/by-partuuid: in lower case
            return [f"root=PARTUUID={root.partuuid.lower()}", "ro", *over]
        case "uuid":
            return [f"root=UUID={root.uuid}", "ro", *over]
        case "label":
            return [f"root=LABEL={root.label}", "ro", *over]
        case device:
            return [f"root={device}", "ro", *over]
