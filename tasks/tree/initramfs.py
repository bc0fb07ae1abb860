"""The initramfs: made once, by the tree's own initramfs-tools, from the base and what of the layers they may read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import scratch
from bootsmith.tasks.tree.layer import OPAQUE, WHITEOUT, folders_above

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.tree.layer import Entry
    from bootsmith.tasks.tree.merged import Tree

TOOLS: Final = (*scratch.TOOLS, "tar", "zstd")

ROOM: Final = 512 << 20
"""Bytes that making an initramfs takes, beside the tree."""

_UNREAD: Final = re.compile(
    # What no hook reads; all else counts as read: to make an initramfs in vain is better than to keep an old one.
    r"(home|root|srv|opt|var|tmp|run|mnt|media)/"
    r"|usr/(local|games|src|include|lib/bootsmith)/"
    r"|usr/share/(doc|man|info|locale|zoneinfo|bash-completion|lintian)/"
    r"|etc/(motd|issue|issue\.net|hostname|hosts|resolv\.conf|machine-id|environment|profile|bash\.bashrc|sudoers)$"
    r"|etc/(localtime|timezone|locale\.conf|default/locale)$"
    r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$"
    r"|etc/(ssh|apt|skel|profile\.d|update-motd\.d|sudoers\.d|pam\.d|cron\.\w+|logrotate\.d|systemd/system|network)/"
    r"|etc/(modules-load\.d|sysctl\.d|netplan|NetworkManager|dhcp)/"
    r"|etc/systemd/[\w-]+\.conf(\.d/.*)?$"
    r"|etc/systemd/network/[^/]*\.(network|netdev)(\.d/.*)?$"
)
LINKER_CACHE: Final = "etc/ld.so.cache"
_HOOKS: Final = re.compile(r"(etc|usr/share)/initramfs-tools/hooks/.")
_LEFT_OUT: Final = (
    "dev/*", "proc/*", "sys/*", "boot/vmlinuz*", "boot/System.map*", "var/cache/*", "var/lib/apt/*",
    "var/lib/dpkg/info/*", "usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*",
    "usr/share/zoneinfo/*", "usr/share/bash-completion/*", "usr/include/*",
)  # fmt: skip
"""Of the base, whose members may have ./ before their names, or not."""

MARKER: Final = b"bootsmith: the compressed archive goes here\n"

# zstd of the tree is one core's work, and mkinitramfs takes gzip, five times as slow, where the tree has none. So what
# it calls as zstd keeps the archive and its options for this host's zstd, and marks the place it goes to.
# It is given the archive as a file (initramfs-tools 0.142) or as its input (0.148). The older one unpacks modules by it
# too, which is left to the tree's own, if it has one.
_STAND_IN: Final = f"""\
#!/bin/sh
case " $* " in *" -d "*)
    [ ! -e /zstd.tree ] || exec /zstd.tree "$@"
    exit 1
esac
options=
for word in "$@"; do
    shift
    case $word in
    -*) options="$options $word" ;;
    *) set -- "$@" "$word" ;;
    esac
done
echo "$options" >/main.options
cat -- "$@" >/main.cpio
printf '%s' '{MARKER.decode()}'
"""

# $1: base, $2: view, $3: what the view hides, $4: the stand-in, $5: kernel version, $6: zstd, $7: where results go,
# $8: a tar of what is added to both, or ""
_MAKE: Final = r"""
set -eu
base=$1 view=$2 gone=$3 stand_in=$4 version=$5 zstd=$6 results=$7 more=$8
shift 8
cd "$TMPDIR"
tar --extract --file="$base" --numeric-owner "$@"
xargs -0 -r rm -rf -- <"$gone"
tar --extract --file="$view" --numeric-owner --keep-directory-symlink --exclude='.wh.*'
[ -z "$more" ] || tar --extract --file="$more" --numeric-owner --keep-directory-symlink
mkdir -p proc dev sys tmp
mount --rbind /proc proc
for node in null zero full random urandom; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
ln -s /proc/self/fd dev/fd
[ ! -e usr/bin/zstd ] || mv usr/bin/zstd zstd.tree
cat "$stand_in" >usr/bin/zstd
chmod 0755 usr/bin/zstd
chroot . /usr/sbin/mkinitramfs -o /initrd.img "$version"
cat initrd.img >"$results/initrd"
if [ -e main.cpio ]; then
    read -r options <main.options
    # shellcheck disable=SC2086
    "$zstd" $options -T0 <main.cpio >"$results/main"
fi
"""


@dataclass(frozen=True)
class InitramfsParams(Params):
    """When all of it was made: of the view, and by SOURCE_DATE_EPOCH of what is in the initramfs."""

    epoch: int


@dataclass(frozen=True)
class ViewParams(Params):
    """When all of it was made, and how many layers above the base are taken whole: they bring initramfs-tools."""

    epoch: int
    whole: int


def view(ctx: Context) -> None:
    """Write what of the delta layers may be read while an initramfs is made, as one layer.

    A layer that brings hooks of its own may have them read anything: then all of it counts. Those of a layer that is
    taken whole are a distribution's, as the base's are. Input 0 is the base.
    """
    from bootsmith.tasks.tree import layer
    from bootsmith.tasks.tree.merged import tree_below

    params = ViewParams.of(ctx)
    count = len(ctx.inputs) // 2
    indexes = [layer.read_index(ctx.inputs[f"{number}.index"]) for number in range(1, count)]
    all_of_it = any(_HOOKS.match(entry.path) for entries in indexes[params.whole :] for entry in entries)
    hidden = {
        entry.path
        for entries in indexes
        for entry in entries
        if entry.name.startswith(layer.WHITEOUT) and (all_of_it or not _UNREAD.match(_hides(entry)))
    }
    merged = layer.merge(indexes)
    listed = {entry.path for entries in indexes for entry in entries}
    read = [path for path, (_, entry) in merged.items() if path in listed and not _UNREAD.match(_as_path(entry))]
    if all_of_it:
        read = sorted(listed & merged.keys())
    else:
        whole = (path for path in listed & merged.keys() if merged[path][0] < params.whole)
        read = sorted({*_taken(read, tree_below(ctx), ctx), *whole})
    with layer.LayerWriter(ctx.outputs["view"], ctx.work / "view.index", params.epoch) as writer:
        for path in hidden:
            folder, slash, name = path.rpartition("/")
            writer.add_whiteout(f"{folder}{slash}{name.removeprefix(WHITEOUT)}")
        for path in read:
            number, entry = merged[path]
            layer_number, file = merged[entry.link] if entry.type == "h" else (number, entry)
            writer.add_copy(file._replace(path=path), ctx.inputs[f"{layer_number + 1}.tar"])


def _taken(paths: list[str], tree: Tree, ctx: Context) -> list[str]:
    """Return those of the layers' paths that scripts may take up: changes to the base, and new files they may know of.

    The cache of the linker is read for the sake of libraries.
    """
    from bootsmith.tasks.tree import layer
    from bootsmith.tasks.tree.hook_words import HookWords, is_taken_by_word, libraries

    base = {entry.path for entry in layer.read_index(ctx.inputs["0.index"])}
    asked = {path for path in paths if path != LINKER_CACHE and path not in base and is_taken_by_word(path)}
    words = HookWords(tree) if asked else None  # many scripts are read for it
    found = [
        path for path in paths if path != LINKER_CACHE and (path not in asked or words is None or words.may_take(path))
    ]
    return [*found, LINKER_CACHE] if LINKER_CACHE in paths and any(libraries(found)) else found


def _as_path(entry: Entry) -> str:
    return f"{entry.path}/" if entry.type == "d" else entry.path


def _hides(entry: Entry) -> str:
    """Return what a whiteout hides, as `_UNREAD` tells paths; it may be a folder."""
    parent, _, name = entry.path.rpartition("/")
    name = "" if name == OPAQUE else name.removeprefix(WHITEOUT)
    return f"{parent}/{name}/".lstrip("/")


def run(ctx: Context) -> None:
    """Make the initramfs of the tree as it is. Raises StageError."""
    make(ctx)


def make(ctx: Context, add: Callable[[Collection[str]], Path | None] = lambda _: None) -> None:
    """Unpack what is needed, run mkinitramfs in it, compress what it made. Raises StageError.

    `add` is told the paths that there are, and returns a tar of what mkinitramfs is to find besides.
    """
    from bootsmith.tasks.tree import layer, tar

    version = json.loads(ctx.inputs["facts"].read_bytes())["version"]
    base = layer.read_index(ctx.inputs["index"])
    seen = list(tar.scan(ctx.inputs["view"]))
    gone = [path for entry in seen if entry.name.startswith(WHITEOUT) for path in _gone(entry, base)]
    removed = set(gone)
    paths = {each.path for each in base if not removed & {each.path, *folders_above(each.path)}}
    paths |= {each.path for each in seen}
    _check(paths, version, str(ctx.hints["key"]))
    (ctx.work / "gone").write_bytes(b"".join(os.fsencode(f"./{path}") + b"\0" for path in sorted(gone)))
    (ctx.work / "stand-in").write_text(_STAND_IN)
    ctx.say("unpacking the tree for its initramfs")
    scratch.run_as_root(
        ctx,
        "mkinitramfs",
        ctx.inputs["base"].stat().st_size + ROOM,
        ctx.tool("sh"), "-c", _MAKE, "sh",
        ctx.inputs["base"], ctx.inputs["view"], ctx.work / "gone", ctx.work / "stand-in",
        version, ctx.tool("zstd"), ctx.work, add(paths) or "",
        "--anchored", *(f"--exclude={top}{pattern}" for pattern in _LEFT_OUT for top in ("", "./")),
        env={"HOME": "/nonexistent"},
    )  # fmt: skip
    made = (ctx.work / "initrd").read_bytes()
    main = ctx.work / "main"
    if main.exists():
        before, marker, after = made.partition(MARKER)
        if not marker:
            raise StageError("mkinitramfs did not keep what it was to compress", "Report this: it is a bug of ours.")
        made = before + main.read_bytes() + after
    ctx.outputs["initrd"].write_bytes(made)


def _gone(entry: Entry, base: Sequence[Entry]) -> list[str]:
    """Return the paths of the base that a whiteout hides, folders standing for what is in them."""
    hidden = _hides(entry).rstrip("/")
    return [each.path for each in base if each.parent == hidden] if entry.name == OPAQUE else [hidden]


def _check(paths: Collection[str], version: str, key: str) -> None:
    if not any(f"{folder}/mkinitramfs" in paths for folder in ("usr/sbin", "sbin")):
        also = " (dracut, which it has, is not used)" if "usr/bin/dracut" in paths else ""
        raise StageError(
            f"the tree cannot make an initramfs: it has no initramfs-tools{also}",
            "Add initramfs-tools to source.debian.packages, or in a layer of packages. "
            "A tree that has a kernel and an initrd of its own is taken as it is by boot.kernel: auto.",
        )
    if not any(f"{folder}/modules/{version}" in paths for folder in ("usr/lib", "lib")):
        raise StageError(
            f"the tree has no modules for its kernel {version} (/lib/modules/{version})",
            "Add the package they come in, or as a layer what `make modules_install` made of a kernel of your own; "
            f"or let {key} be a file, or none where the kernel has all it needs within.",
        )
