"""The kernel: the newest one in the tree, taken out by the layers' indexes, and what is known of it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import os_release
from bootsmith.tasks.tree import boot_formats, init, linux_image

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.tree.merged import Tree

_COPY: Final = re.compile(r"\.(old|bak|orig|save|dpkg-\w+|rpm\w+)$|~$|^0-rescue|\brescue\b|\brecovery\b")
"""What of a version says that it is no kernel to start, but a copy kept for a bad day."""
_EARLIER: Final = re.compile(r"[-+](?=(?:rc\d|trunk|rt|debug|dbg)(?:\b|\d))")
_WORD: Final = re.compile(r"[A-Za-z0-9][\w.+~-]{0,127}", re.ASCII)
"""What may be a kernel's version, and what os-release(5) lets a distribution call itself: it becomes part of paths."""
_LONGEST_TITLE: Final = 200  # letters, more than a screen's line
PLAIN: Final = ("boot/vmlinuz", "boot/bzImage", "vmlinuz", "bzImage")
_CALLED: Final = ("kernel-", "bzImage-")
"""What Gentoo and others call kernels in /boot, and not only kernels: what is inside tells."""
PATTERNS: Final = (
    *("boot/vmlinuz-*", *(f"boot/{each}*" for each in _CALLED)),
    *("lib/modules/*/vmlinuz", "usr/lib/modules/*/vmlinuz", *PLAIN),
)
"""Where a tree may have a kernel, for who cannot ask `kernels`: before there is a tree."""
PLACES: Final = "/boot/vmlinuz-*, /boot/kernel-*, /lib/modules/*/vmlinuz, /boot/vmlinuz, /boot/bzImage, /vmlinuz"
_PACKAGES: Final = {
    "debian": "linux-image-amd64, or linux-image-cloud-amd64 for virtual machines only",
    "ubuntu": "linux-image-generic, or linux-image-virtual for virtual machines only",
}
HEAD: Final = 64 << 10
"""Bytes within which a kernel says what it is, packed by gzip or not."""


@dataclass(frozen=True)
class InstalledParams(Params):
    """The machine that the kernel is for, and what it is told to start, see `init.check`."""

    arch: str
    inits: tuple[str, ...]


def run(ctx: Context) -> None:
    """Copy the kernel; write down its version and whose it is."""
    from bootsmith.tasks.tree.merged import tree_below

    tree, params = tree_below(ctx), InstalledParams.of(ctx)
    found = kernels(tree)
    if not found:
        known = facts(tree, "")["id"]
        package = _PACKAGES.get(known)
        raise StageError(
            f"there is no kernel in the tree ({PLACES})",
            (f"Add {package} to source.{known}.packages, if that is the source; else add" if package else "Add")
            + " the distribution's kernel package to the tree, or name a kernel of your own: boot.kernel, or --kernel.",
        )
    version = newest(found)
    others = sorted(found.keys() - {version})
    if others:
        ctx.tell(f"kernel {version} was taken, the newest; there also is {', '.join(others)}")
    else:
        ctx.say(f"kernel {version}")
    kernel = ctx.outputs["kernel"]
    take(tree, found[version], kernel, params.arch, f"let {ctx.hints['key']} name another file")
    init.check(ctx, tree, params.inits)
    told = facts(tree, version, found[version])
    ctx.outputs["facts"].write_text(json.dumps(told, sort_keys=True) + "\n")


def take(tree: Tree, path: str, target: Path, arch: str, otherwise: str) -> None:
    """Copy a kernel out of a tree. Raises StageError where it is none that could be started."""
    tree.copy(path, target)
    with target.open("rb") as copy:
        why = linux_image.refusal(copy.read(HEAD), arch, target.stat().st_size)
    if why:
        raise StageError(f"/{path} of the tree cannot be the kernel: it {why}", f"Install it anew, or {otherwise}.")


def facts(tree: Tree | None, version: str, path: str = "") -> dict[str, str]:
    """Return what is known of a kernel of that version, and of the distribution that the tree is.

    Of a kernel at a `path` in the tree, links followed, that is known too, and where the tree has its initrd. What the
    tree says of itself is taken only where it is fit for a path and a menu's line, else as not said.
    """
    text = (tree.text("etc/os-release") or tree.text("usr/lib/os-release") or "") if tree else ""
    release = os_release.parse(text)
    name = release.get("PRETTY_NAME", "")
    ramdisk = tree and initrd(tree, version, suffix(path) if path else version)
    places = {"path": path, "initrd": ramdisk}
    return {
        **{what: tree.resolve(place) for what, place in places.items() if tree and place},
        "version": version,
        "id": word(release.get("ID", "")) or "linux",
        "version_id": word(release.get("VERSION_ID", "")),
        "pretty_name": name if name.isprintable() and 0 < len(name.strip()) <= _LONGEST_TITLE else "Linux",
    }


def word(text: str) -> str:
    """Return a kernel's version, or a distribution's, where it is fit for a path and a menu's line, else nothing."""
    return text if _WORD.fullmatch(text) else ""


def kernels(tree: Tree) -> dict[str, str]:
    """Return the tree's kernels: version -> path. Beside /boot, distributions keep them with their modules.

    Of one whose name says no version, as Alpine's or one copied by hand, the kernel itself tells it. A name without
    anything behind it counts where there is no other: it may be a link to one of them.
    """
    named = [f"lib/modules/{name}/vmlinuz" for name in tree.names("lib/modules")]
    named += [f"boot/{name}" for name in tree.names("boot") if name.startswith("vmlinuz-")]
    called = [f"boot/{name}" for name in tree.names("boot") if name.startswith(_CALLED)]
    return _told(tree, [*named, *(path for path in called if _is_one(tree, path))]) or _told(tree, PLAIN)


def _is_one(tree: Tree, path: str) -> bool:
    entry = tree.find(path)
    if entry is None or entry.type not in ("f", "h"):
        return False
    with tree.open(path) as file:
        return boot_formats.kernel(file.read(HEAD)) == "bzImage"


def _told(tree: Tree, paths: Iterable[str]) -> dict[str, str]:
    files = [path for path in paths if (entry := tree.find(path)) is not None and entry.type in ("f", "h")]
    found = {_version(tree, path): path for path in files if not _COPY.search(suffix(path))}
    return {version: path for version, path in found.items() if version}


def _version(tree: Tree, path: str) -> str:
    """Return a kernel's version by its name, or by itself, nothing where neither could be one."""
    name = suffix(path)
    if name[:1].isdigit() or (name and not word(name)):
        return word(name)
    with tree.open(path) as file:
        head = file.read(HEAD)
    told = word(linux_image.version(head)) if boot_formats.kernel(head) == "bzImage" else ""
    return told or name or "linux"


def suffix(path: str) -> str:
    """Return what a kernel's name has behind it, and that of its initrd: mostly its version, or "lts", or nothing."""
    folder, _, name = path.rpartition("/")
    return folder.rpartition("/")[2] if folder.startswith("lib/modules/") else name.partition("-")[2]


def initrd(tree: Tree, version: str, suffix: str) -> str | None:
    """Return the path of a kernel's initrd in the tree, None where there is none."""
    names = initrd_names(version, suffix)
    return next((name for name in names if (entry := tree.find(name)) and entry.type in ("f", "h")), None)


def initrd_names(version: str, suffix: str) -> tuple[str, ...]:
    """Return what distributions call the initrd of a kernel.

    Debian; Fedora, Arch and Gentoo; openSUSE; Alpine and genkernel; those with all of it in /lib/modules; Slackware.
    """
    names = []
    for each in dict.fromkeys((version, suffix)):
        end = f"-{each}" if each else ""
        names += [f"boot/initrd.img{end}", f"boot/initramfs{end}.img", f"boot/initrd{end}", f"boot/initramfs{end}"]
    names += [f"lib/modules/{version}/{each}" for each in ("initramfs.img", "initrd")]
    return (*names, "boot/initrd.gz", *(() if suffix else ("initrd.img",)))


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
