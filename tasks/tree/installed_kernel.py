"""The kernel: the newest one in the tree, taken out by the layers' indexes, and what is known of it."""

from __future__ import annotations

import functools
import json
import re
import shutil
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import os_release

if TYPE_CHECKING:
    from bootsmith.tasks.tree.merged import Tree

_COPY: Final = re.compile(r"\.(old|bak|orig|save|dpkg-\w+|rpm\w+)$|~$|^0-rescue|\brescue\b|\brecovery\b")
"""What of a version says that it is no kernel to start, but a copy kept for a bad day."""
_EARLIER: Final = re.compile(r"[-+](?=(?:rc\d|trunk|rt|debug|dbg)(?:\b|\d))")
_WORD: Final = re.compile(r"[A-Za-z0-9][\w.+~-]{0,127}", re.ASCII)
"""What may be a kernel's version, and what os-release(5) lets a distribution call itself: it becomes part of paths."""
_LONGEST_TITLE: Final = 200  # letters, more than a screen's line
_PACKAGES: Final = {
    "debian": "linux-image-amd64, or linux-image-cloud-amd64 for virtual machines only",
    "ubuntu": "linux-image-generic, or linux-image-virtual for virtual machines only",
}


def run(ctx: Context) -> None:
    """Copy the kernel; write down its version and whose it is."""
    from bootsmith.tasks.tree.merged import tree_below

    tree = tree_below(ctx)
    found = kernels(tree)
    if not found:
        known = facts(tree, "")["id"]
        package = _PACKAGES.get(known)
        raise StageError(
            "there is no kernel in the tree (/boot/vmlinuz-*)",
            (f"Add {package} to source.{known}.packages, if that is the source; else add" if package else "Add")
            + " the distribution's kernel package to the tree, or name a kernel of your own: boot.kernel, or --kernel.",
        )
    version = newest(found)
    others = sorted(found.keys() - {version})
    if others:
        ctx.tell(f"kernel {version} was taken, the newest; there also is {', '.join(others)}")
    else:
        ctx.say(f"kernel {version}")
    with tree.open(found[version]) as source, ctx.outputs["kernel"].open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    ctx.outputs["facts"].write_text(json.dumps(facts(tree, version), sort_keys=True) + "\n")


def facts(tree: Tree | None, version: str) -> dict[str, str]:
    """Return what is known of a kernel of that version, and of the distribution that the tree is.

    What the tree says is taken only where it is fit for a path and a menu's line, else as not said.
    """
    text = (tree.text("etc/os-release") or tree.text("usr/lib/os-release") or "") if tree else ""
    release = os_release.parse(text)
    name = release.get("PRETTY_NAME", "")
    return {
        "version": version,
        "id": word(release.get("ID", "")) or "linux",
        "version_id": word(release.get("VERSION_ID", "")),
        "pretty_name": name if name.isprintable() and 0 < len(name.strip()) <= _LONGEST_TITLE else "Linux",
    }


def word(text: str) -> str:
    """Return a kernel's version, or a distribution's, where it is fit for a path and a menu's line, else nothing."""
    return text if _WORD.fullmatch(text) else ""


def kernels(tree: Tree) -> dict[str, str]:
    """Return the tree's kernels: version -> path. Beside /boot, distributions keep them with their modules."""
    found = {name: f"lib/modules/{name}/vmlinuz" for name in tree.names("lib/modules")}
    found |= {
        name.removeprefix("vmlinuz-"): f"boot/{name}" for name in tree.names("boot") if name.startswith("vmlinuz-")
    }
    return {
        version: path
        for version, path in found.items()
        if word(version)
        and not _COPY.search(version)
        and (entry := tree.find(path)) is not None
        and entry.type in ("f", "h")
    }


def initrd(tree: Tree, version: str) -> str | None:
    """Return the path of a kernel's initrd in the tree, None where there is none."""
    return next(
        (name for name in initrd_names(version) if (entry := tree.find(name)) and entry.type in ("f", "h")), None
    )


def initrd_names(version: str) -> tuple[str, ...]:
    """Return what distributions call the initrd of a kernel: Debian, Fedora and Arch, openSUSE, Alpine."""
    return (
        f"boot/initrd.img-{version}",
        f"boot/initramfs-{version}.img",
        f"boot/initrd-{version}",
        f"boot/initramfs-{version}",
    )


def newest(versions: dict[str, str]) -> str:
    """Return the newest of kernel versions."""
    return max(versions, key=functools.cmp_to_key(compare))


def compare(one: str, other: str) -> int:
    """Compare two kernels' versions as linux-version(1) does: negative, 0 or positive.

    As dpkg compares (deb-version(7)): text and numbers in turn; in text letters come before all else, and "~" even
    before the end. But what leads up to a release comes before it, and so do its flavours for a special purpose.
    """
    first, second = (_parts(_EARLIER.sub("~", each)) for each in (one, other))
    return (first > second) - (first < second)


def _parts(version: str) -> list[tuple[list[int], int]]:
    found = []
    for text, digits in re.findall(r"(\D*)(\d*)", version):
        weights = [-1 if sign == "~" else ord(sign) if sign.isalpha() else ord(sign) + 256 for sign in text]
        found.append(([*weights, 0], int(digits or "0")))
    return found
