"""The initramfs of a root that is not mounted as it is: encrypted, verified, or with a layer in memory over it.

The tree's own initramfs-tools make it, and find some files more. `boot=` and a name have them run a script of ours: it
mounts the root as they do, and lays a layer over it. What the system writes is gone with that; what lies beneath is
there to look at, in /run/bootsmith/root. What unlocks a root is Debian's cryptsetup-initramfs, which would look for the
device: it is told what it would have found. A verified root is opened by a script of ours, with the tree's veritysetup,
by the root hash on the kernel's command line: nothing of a root is in its initramfs, which stays when that changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import initramfs

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

# What only reads may be of a kind that initramfs-tools think of no root to be. A kernel that has it within is as good.
_OVERLAY: Final = """\
#!/bin/sh
# What an initramfs holds besides that puts a layer over its root. Written by bootsmith.
set -e
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
for module in MODULES; do
    if ! modprobe --set-version "$version" --dry-run --quiet "$module"; then
        echo "this kernel has no $module, which its root needs" >&2
        exit 1
    fi
    manual_add_modules "$module"
done
copy_exec "$(command -v mount)" /usr/lib/bootsmith/mount
"""

_CRYPTROOT: Final = "usr/share/initramfs-tools/hooks/cryptroot"
"""What cryptsetup-initramfs brings."""
# Theirs leaves out what is nowhere on the machine that makes it; and takes the modules that this machine would need.
_UNLOCK: Final = """\
#!/bin/sh
# What unlocks the root. Written by bootsmith.
set -e
[ "$1" != prereqs ] || { echo cryptroot; exit 0; }
. /usr/share/initramfs-tools/hook-functions
mkdir -p "$DESTDIR/cryptroot"
cat /usr/share/bootsmith/crypttab >"$DESTDIR/cryptroot/crypttab"
manual_add_modules dm_mod dm_crypt aes xts aesni_intel sha256 cryptd
"""

_VERIFY: Final = """\
#!/bin/sh
# What opens a verified root. Written by bootsmith.
set -e
[ "$1" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
if ! modprobe --set-version "$version" --dry-run --quiet dm_verity; then
    echo "this kernel has no dm_verity, which a verified root needs" >&2
    exit 1
fi
manual_add_modules dm_mod dm_verity sha256 MODULES
copy_exec "$(command -v veritysetup)" /usr/lib/bootsmith/veritysetup
"""

OPEN: Final = """\
#!/bin/sh
# Opens a verified root by the root hash on the kernel's command line. Written by bootsmith.
set -f
[ "$1" != prereqs ] || exit 0
[ ! -e /dev/mapper/root ] || exit 0
hash= options=
# shellcheck disable=SC2013
for word in $(cat /proc/cmdline); do
    case $word in
    roothash=*) hash=${word#roothash=} ;;
    systemd.verity_root_options=*) options=${word#*=} ;;
    esac
done
[ "${#hash}" = 64 ] || exit 0

# the partition whose GUID a half of the root hash is
partition() {
    rest=$1 guid=
    for digits in ???????? ???? ???? ???? ????????????; do
        # shellcheck disable=SC2295
        end=${rest#$digits}
        guid=$guid${guid:+-}${rest%"$end"}
        rest=$end
    done
    echo "/dev/disk/by-partuuid/$guid"
}

half=????????????????????????????????
# shellcheck disable=SC2295
data=$(partition "${hash%$half}") tree=$(partition "${hash#$half}")
! command -v udevadm >/dev/null || udevadm settle --timeout=10
[ -e "$data" ] && [ -e "$tree" ] || exit 0
modprobe -q dm_verity || true
words=
for word in $(IFS=,; echo $options); do
    words="$words --$word"
done
# shellcheck disable=SC2086
/usr/lib/bootsmith/veritysetup $words open "$data" root "$tree" "$hash" ||
    echo "bootsmith: the root is not what its root hash says" >&2
"""
"""What initramfs-tools run before they look for the root, and again while it is not there."""
_PROGRAM: Final = ("sbin/veritysetup", "usr/sbin/veritysetup")

SCRIPT: Final = """\
# A root that is only read, and over it a layer in memory. Written by bootsmith.

mountroot() {
    local_mount_root
    modprobe -q overlay || true
    lower=/run/bootsmith/root upper=/run/bootsmith/changes
    mkdir -p "$lower" "$upper"
    overlay_mount -o move "$rootmnt" "$lower"
    overlay_mount -t tmpfs -o mode=0755 changes "$upper"
    mkdir -m 0755 "$upper/files" "$upper/work"
    overlay_mount -t overlay -o "lowerdir=$lower,upperdir=$upper/files,workdir=$upper/work" overlay "$rootmnt"
}

overlay_mount() {
    /usr/lib/bootsmith/mount -n "$@" || panic "bootsmith: mount $* failed"
}
"""
"""Sourced by the initramfs's /init, which has defined `panic`, `local_mount_root` and $rootmnt."""


_SHARE: Final = "usr/share/initramfs-tools"


@dataclass(frozen=True)
class RootParams(Params):
    """When all of it was made.

    `name` is what `boot=` calls the layer in memory, if there is one, and `modules` what the root's filesystem needs;
    `crypttab` is the line of that of a root that is encrypted; `verity` says that it is verified.
    """

    epoch: int
    name: str
    modules: tuple[str, ...]
    crypttab: str
    verity: bool


def run(ctx: Context) -> None:
    """Make the initramfs. Raises StageError."""
    from bootsmith.tasks.tree.layer import LayerWriter

    params = RootParams.of(ctx)

    def added(paths: Collection[str]) -> Path:
        if params.crypttab and _CRYPTROOT not in paths:
            raise StageError(
                "the tree has nothing to unlock its root with: no cryptsetup-initramfs",
                "Add cryptsetup-initramfs to source.debian.packages.",
            )
        if params.verity and not any(path in paths for path in _PROGRAM):
            raise StageError(
                "the tree has nothing to open its verified root with: no veritysetup",
                "Add cryptsetup-bin to source.debian.packages.",
            )
        tar = ctx.work / "root.tar"
        with LayerWriter(tar, ctx.work / "root.index", params.epoch) as writer:
            if params.name:
                hook = _OVERLAY.replace("MODULES", " ".join(("overlay", *params.modules)))
                writer.add_file(f"{_SHARE}/hooks/bootsmith-overlay", hook.encode(), 0o755)
                writer.add_file(f"{_SHARE}/scripts/{params.name}", SCRIPT.encode())
            if params.crypttab:
                writer.add_file(f"{_SHARE}/hooks/bootsmith-unlock", _UNLOCK.encode(), 0o755)
                writer.add_file("usr/share/bootsmith/crypttab", params.crypttab.encode())
                writer.add_file("etc/cryptsetup-initramfs/conf-hook", b"CRYPTSETUP=y\n")
            if params.verity:
                hook = _VERIFY.replace("MODULES", " ".join(params.modules))
                writer.add_file(f"{_SHARE}/hooks/bootsmith-verity", hook.encode(), 0o755)
                for when in ("local-top", "local-block"):
                    writer.add_file(f"{_SHARE}/scripts/{when}/bootsmith-verity", OPEN.encode(), 0o755)
        return tar

    initramfs.make(ctx, added)
