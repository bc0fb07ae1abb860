"""Work inside a tree: the tree so far unpacked, something run in it as its root, and what that changed, as a layer.

What runs sees the tree and nothing of the host: no file, no process, no network unless it is asked for, and no right
that reaches beyond files, owners and processes. All that prepares the tree for it (the places of /dev and /proc,
inputs, stand-ins for what starts services) is put into the tar that the tree is unpacked from, so no path of the tree
is ever followed from outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import merged_tar, scratch
from bootsmith.tasks.tree.acl import NAMES
from bootsmith.tasks.tree.layer import folders_above
from bootsmith.tasks.tree.tar import Entry

if TYPE_CHECKING:
    from bootsmith.tasks.build.stage import Context
    from bootsmith.tasks.tree.merged import Tree

TOOLS: Final = (*scratch.TOOLS, "tar", "setpriv", "env", "chroot", "ln", "mkdir")

PLACES: Final[Mapping[str, int]] = {"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777}
"""What is no part of a layer, with all that is in it: it is of a running system."""
OURS: Final = "run/bootsmith"
"""Where in the tree our own files are, while something runs."""
ROOM: Final = 1 << 30
"""Bytes that what runs may write, beside the tree, before it is done on disk and not in memory."""
UNMADE: Final = "cbs"
"""Types of files that are not in the tree while something runs: only root could make them. They stay as they are."""
RESOLVER: Final = "etc/resolv.conf"
KEPT_ATTRIBUTES: Final = frozenset(("security.capability", *NAMES))
"""Attributes that an ordinary user's root can give to any file of any file system: a tree is run with no others."""
STUBS: Final[Mapping[str, bytes]] = {
    "usr/sbin/policy-rc.d": b"#!/bin/sh\nexit 101\n",
    "sbin/start-stop-daemon": b"#!/bin/sh\nexit 0\n",
}
"""What stands in while something runs, so that no service starts: invoke-rc.d asks the first, the rest call the second.
"""
NEW: Final = ("usr/sbin/policy-rc.d",)
"""Of these, what stands in where the tree has no such file."""
RIGHTS: Final = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service", "net_raw",
    "sys_chroot", "audit_write", "setfcap",
)  # fmt: skip
"""What root may in the tree: what it may in a container, but for making device nodes."""

_READ_ONLY: Final = ("sys", "irq", "bus", "fs")
_HIDDEN: Final = (*scratch.HIDDEN, "kcore", "sysrq-trigger")

MOUNTS: Final = rf"""
mount -t proc -o nosuid,nodev,noexec proc proc 2>/dev/null || mount --rbind /proc proc
for file in {" ".join(_HIDDEN)}; do
    [ ! -e "proc/$file" ] || mount --bind "$nothing" "proc/$file"
done
for folder in {" ".join(_READ_ONLY)}; do
    [ -d "proc/$folder" ] || continue
    mount --bind "proc/$folder" "proc/$folder"
    mount -o remount,bind,ro,nosuid,nodev,noexec "proc/$folder" "proc/$folder"  # both, or fstab is asked
done
mount -t tmpfs -o mode=0755,nosuid,size=64m tmpfs dev
for node in null zero full random urandom tty; do
    [ -e "/dev/$node" ] || continue
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir -m 1777 dev/shm
mkdir dev/pts
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
if mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts 2>/dev/null; then ln -s pts/ptmx dev/ptmx; fi
"""
"""What gives the current directory, a tree, its /proc and /dev; `$nothing` is an empty file."""

# $1: an empty file, $2: a folder that is to be in the tree at run/bootsmith/packages, or ""; the rest runs in the tree.
# The tree becomes the root of its mount namespace by being moved over it: with no right to mount, nothing leads out.
_INSIDE: Final = rf"""
set -eu
nothing=$1 packages=$2
shift 2
mount --bind "$TMPDIR" "$TMPDIR"
cd "$TMPDIR"
{MOUNTS}
[ ! "$packages" ] || mount --bind "$packages" {OURS}/packages
mount -n --move "$TMPDIR" /
exec "$@"
"""

# Variables, then --, then the program: they are not for the programs of the host that lead into the tree, which might
# load or write what they say (LD_PRELOAD).
_ENTER: Final = 'while [ "$1" != -- ]; do export "$1"; shift; done; shift; exec "$@"'

PACK: Final = rf"""
tar --create --file="$after" --format=pax --pax-option=delete=atime,delete=ctime,delete=mtime --numeric-owner \
    --sort=name --sparse --one-file-system --acls --xattrs --xattrs-include=security.capability \
    --xattrs-include='user.*' {" ".join(f"--exclude='./{place}/*'" for place in PLACES)} .
"""
"""What packs the current directory, a tree, as the tar `$after`."""

# $1: the tree's tar, $2: the tar of it afterwards, $3: what runs inside, $4...: its words
_MAKE: Final = rf"""
set -eu
before=$1 after=$2 inside=$3
shift 3
cd "$TMPDIR"
tar --extract --file="$before" --numeric-owner --same-owner --same-permissions \
    --xattrs --xattrs-include=security.capability --xattrs-include='system.posix_acl_*'
unshare --mount --pid --fork --kill-child -- sh -c "$inside" sh "$@" </dev/null
{PACK}
"""


@dataclass(frozen=True, slots=True)
class Added:
    """A file that is in the tree only while something runs; a folder where there is no data, or a link to somewhere."""

    data: bytes | Path | None
    mode: int = 0o644
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What is run in a tree, and with what.

    `words` are a program of the tree and its arguments. `added` are files in the tree by path, while it runs, their
    folders among them. `packages` is a folder of the host that is then in the tree at OURS/packages.
    """

    name: str
    words: Sequence[str]
    epoch: int
    env: Mapping[str, str]
    added: Mapping[str, Added]
    network: bool = False
    room: int = ROOM
    packages: Path | None = None


def run(ctx: Context, tree: Tree, work: Work) -> Path:
    """Run something in the tree; return the tar of all the tree afterwards. Raises StageError, ToolFailed."""
    check(tree, None if work.words[0].lstrip("/") in work.added else work.words[0])
    before, after = ctx.work / "before.tar", ctx.work / "after.tar"
    found, tars = _members(tree, work)
    merged_tar.write(before, found, tars)
    empty = ctx.work / "empty"
    empty.write_bytes(b"")
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(work.epoch),
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
        "SYSTEMD_OFFLINE": "1",
        "INITRD": "No",  # the initramfs is a stage of its own
    }
    rights = ",".join(["-all", *(f"+{each}" for each in RIGHTS)])
    inside: list[str | Path] = [empty, work.packages or ""]
    inside += [ctx.tool("env"), "-i", *(f"{name}={value}" for name, value in env.items())]
    inside += [ctx.tool("setpriv"), f"--bounding-set={rights}", "--inh-caps=-all", "--"]
    inside += [ctx.tool("chroot"), ".", "/bin/sh", "-c", _ENTER, "sh"]
    inside += [*(f"{name}={value}" for name, value in work.env.items()), "--", *work.words]
    need = 2 * before.stat().st_size + work.room
    words: list[str | Path] = ["sh", "-c", _MAKE, "sh", before, after, _INSIDE, *inside]
    scratch.run_as_root(ctx, work.name, need, *words, network=work.network, hidden=())  # it has a /proc of its own
    before.unlink()
    return after


def check(tree: Tree, program: str | None) -> None:
    """Refuse a tree in which nothing can be run. Raises StageError."""
    for place in (*PLACES, OURS):
        entry = tree.entries.get(place, (0, None))[1]
        if entry is not None and entry.type != "d":
            raise StageError(
                f"/{place} of the tree is no directory, so nothing can be run in it", "Remove it in a layer before."
            )
    if not tree.find("bin/sh"):
        raise StageError(
            "the tree has no /bin/sh, so nothing can be run in it",
            "Add a shell in a layer before, or start from another.",
        )
    if program and not tree.find(program):
        raise StageError(f"the tree has no {program}", "Add what brings it in a layer before.")


def _members(tree: Tree, work: Work) -> tuple[list[merged_tar.Member], list[Path]]:
    """Return the tree as something is to find it, and the tars that have its data."""
    files: dict[str, merged_tar.Member] = {}
    for path, (number, entry) in tree.entries.items():
        if tree.entries[entry.link if entry.type == "h" else path][1].type in UNMADE:
            continue
        kept = {name: value for name, value in entry.xattrs.items() if name in KEPT_ATTRIBUTES}
        files[path] = (entry if len(kept) == len(entry.xattrs) else entry._replace(xattrs=kept), number)
    for place, mode in PLACES.items():
        files.setdefault(place, (Entry(place, "d", mode, mtime=work.epoch), 0))
    tars = tree.tars
    for path, added in {**_stand_ins(tree, network=work.network), **work.added}.items():
        for above in folders_above(path):
            files.setdefault(above, (Entry(above, "d", 0o755, mtime=work.epoch), 0))
        if added.data is None:
            kind = "d" if added.link is None else "l"
            files[path] = (Entry(path, kind, added.mode, link=added.link or "", mtime=work.epoch), 0)
            continue
        data = added.data
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        files[path] = (Entry(path, "f", added.mode, size=size, mtime=work.epoch), data)
    return list(files.values()), tars


def _stand_ins(tree: Tree, *, network: bool) -> dict[str, Added]:
    found = {path: Added(data, 0o755) for path, data in stubs(tree).items()}
    if network:
        found[tree.place(RESOLVER)] = Added(_resolver())
    return found


def stubs(tree: Tree) -> dict[str, bytes]:
    """Return what stands in for files of the tree while something runs in it, by path."""
    places = {path: tree.resolve(path) for path in STUBS if tree.find(path) or (path in NEW and tree.find("usr/sbin"))}
    linked = {entry.link for _, entry in tree.entries.values() if entry.type == "h"}
    return {place: STUBS[path] for path, place in places.items() if place not in linked and _is_plain(tree, place)}


def _is_plain(tree: Tree, place: str) -> bool:
    return place not in tree.entries or tree.entries[place][1].type == "f"


def _resolver() -> bytes:
    try:
        return Path("/etc/resolv.conf").read_bytes()
    except OSError:
        return b""
